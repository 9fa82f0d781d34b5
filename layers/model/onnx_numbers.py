"""Check the types of numbers in a model's own ONNX file: refuse quantized files, and convert 16-bit floats to float32."""

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
"""Operators of ONNX and of ONNX Runtime that only quantized graphs have."""
HALVES = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})


def check_not_quantized(model: onnx.ModelProto, name: str) -> None:
    """Check that a file is not quantized. The loss of a quantized file cannot be measured without the original model.

    Raises:
        Unsupported: it is quantized; the error names the operators.
    """
    found = sorted({node.op_type for part in parts(model) for node in part.node} & QUANTIZED)
    if found:
        msg = (
            f"{name} is quantized already ({', '.join(found)}): this builder quantizes float32 and float16 files itself and "
            "measures what is lost; name one with ONNX=, such as onnx/model.onnx"
        )
        raise Unsupported(msg)


def widen(model: onnx.ModelProto, folder: Path) -> None:
    """Convert every float16 and bfloat16 value to float32, with which all models are computed.

    `folder` has the files in which the graph keeps tensors.
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
