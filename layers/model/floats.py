"""What numbers a model's own ONNX file has: files that are quantized already are refused, half floats become float32."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from layers.model.configuration import Unsupported
from layers.model.onnx_files import filled, parts, tensors_of

QUANTIZED = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul"),
        *("QLinearConv", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "DynamicQuantizeLSTM", "QAttention", "QGemm"),
        *(
            "QEmbedLayerNormalization",
            "QOrderedMatMul",
            "QLinearAdd",
            "QLinearMul",
            "QMoE",
            "MatMulNBits",
            "MatMulBnb4",
            "MatMulFpQ4",
        ),
        *("GatherBlockQuantized", "DequantizeBFP", "QuantizeBFP"),
    }
)
"""Operators, of ONNX and of ONNX Runtime, that only graphs with quantized weights or activations have."""
HALVES = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})


def check_not_quantized(model: onnx.ModelProto, name: str) -> None:
    """See that a file computes with floats. How faithful one is that does not, nobody can tell without the model it was made from.

    Raises:
        Unsupported: it is quantized already; the sentence names the operators that show it.
    """
    found = sorted({node.op_type for part in parts(model) for node in part.node} & QUANTIZED)
    if found:
        msg = (
            f"{name} is quantized already ({', '.join(found)}): this builder quantizes float32 and float16 files itself and "
            "measures what is lost; name one with ONNX=, such as onnx/model.onnx"
        )
        raise Unsupported(msg)


def widen(model: onnx.ModelProto, folder: Path) -> None:
    """Make every float16 and bfloat16 value float32: the same weights, computed with as those of all other models are.

    Files that the graph keeps tensors in are in `folder`.
    """
    for part in parts(model):
        for tensor in tensors_of(part):
            if tensor.data_type in HALVES:
                wide = numpy_helper.to_array(filled(tensor, folder)).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
        for node in part.node:
            for attribute in node.attribute:
                if attribute.name in {"to", "dtype"} and attribute.i in HALVES:
                    attribute.i = TensorProto.FLOAT
        ends = (*part.input, *part.output) if isinstance(part, onnx.GraphProto) else ()
        for value in (*ends, *part.value_info):
            if value.type.tensor_type.elem_type in HALVES:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
