"""The baseline: the plainest ONNX graph of a BERT encoder, and its int8 form by ONNX Runtime's own quantizer.

Law: knows nothing of how layers/model writes its graphs, only reads the same weights. One standard operator for each step of the
paper, an attention mask as an input, mean pooling inside; what is fused is fused by ONNX Runtime when it loads the graph.
"""

import logging
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from layers.model.architectures import Shape
from layers.model.precision import Array

OPSET = 17  # the first with LayerNormalization
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "sentence_embedding"
QUANTIZED = ["MatMul", "Gather", "Transpose"]
"""The operators that the tool quantizes by default in such graphs. It would take ONNX's Attention for com.microsoft's."""


def fp32(shape: Shape, weights: Mapping[str, Array]) -> onnx.ModelProto:
    """The plain graph: INPUTS (batch, tokens) → OUTPUT (batch, hidden), mean-pooled, not normalised."""
    return _Bert(shape, weights).model()


def int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with int8 weights, a scale per output channel; activations are quantized at run time, a scale per tensor."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "int8.onnx")
        logging.disable(logging.WARNING)  # it recommends a preprocessing that is not part of the plain way
        try:
            # It does not know the types of all results of com.microsoft's operators.
            known = {"DefaultTensorType": TensorProto.FLOAT}
            quantize_dynamic(model, path, QUANTIZED, per_channel=True, weight_type=QuantType.QInt8, extra_options=known)
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(path)


class _Bert:
    """The graph under construction. Methods that add an operator return the name of its result."""

    def __init__(self, shape: Shape, weights: Mapping[str, Array]) -> None:
        self._shape = shape
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        states = self._embeddings()
        bias = self._mask_bias()
        for layer in range(self._shape.layers):
            states = self._layer(f"encoder.layer.{layer}", states, bias)
        self._pool(states)
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS]
        outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", self._shape.hidden])]
        graph = helper.make_graph(self._nodes, "stock", inputs, outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))

    def _embeddings(self) -> str:
        words = self._op("words", "Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        types = self._op("types", "Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        length = self._op("length", "Shape", "input_ids", start=1)
        table = self._weight("embeddings.position_embeddings.weight")
        positions = self._op("positions", "Slice", table, self._integers(0), length, self._integers(0))
        total = self._op("words_types", "Add", words, types)
        return self._normalised("embeddings.LayerNorm", self._op("embedded", "Add", total, positions))

    def _mask_bias(self) -> str:
        """0 where there is a token, the smallest float where there is padding."""
        mask = self._op("mask", "Cast", "attention_mask", to=TensorProto.FLOAT)
        padding = self._op("padding", "Sub", self._float(1), self._op("mask.wide", "Unsqueeze", mask, self._integers(1, 2)))
        return self._op("mask.bias", "Mul", padding, self._float(float(np.finfo(np.float32).min)))

    def _layer(self, key: str, states: str, bias: str) -> str:
        attended = self._linear(f"{key}.attention.output.dense", self._attention(f"{key}.attention.self", states, bias))
        attended = self._op(f"{key}.attended", "Add", attended, states)
        states = self._normalised(f"{key}.attention.output.LayerNorm", attended)
        inner = self._gelu(key, self._linear(f"{key}.intermediate.dense", states))
        result = self._op(f"{key}.added", "Add", self._linear(f"{key}.output.dense", inner), states)
        return self._normalised(f"{key}.output.LayerNorm", result)

    def _attention(self, key: str, states: str, bias: str) -> str:
        heads, hidden = self._shape.heads, self._shape.hidden
        size = hidden // heads

        def split(part: str, order: list[int]) -> str:
            apart = self._op(
                f"{key}.{part}.heads", "Reshape", self._linear(f"{key}.{part}", states), self._integers(0, 0, heads, size)
            )
            return self._op(f"{key}.{part}.turned", "Transpose", apart, perm=order)

        scores = self._op(f"{key}.scores", "MatMul", split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]))
        scores = self._op(f"{key}.scaled", "Div", scores, self._float(math.sqrt(size)))
        shares = self._op(f"{key}.shares", "Softmax", self._op(f"{key}.masked", "Add", scores, bias), axis=-1)
        mixed = self._op(f"{key}.mixed", "MatMul", shares, split("value", [0, 2, 1, 3]))
        mixed = self._op(f"{key}.mixed.turned", "Transpose", mixed, perm=[0, 2, 1, 3])
        return self._op(f"{key}.joined", "Reshape", mixed, self._integers(0, 0, hidden))

    def _gelu(self, key: str, value: str) -> str:
        error = self._op(f"{key}.erf", "Erf", self._op(f"{key}.narrow", "Div", value, self._float(math.sqrt(2))))
        share = self._op(f"{key}.share", "Add", error, self._float(1))
        return self._op(f"{key}.gelu", "Mul", self._op(f"{key}.part", "Mul", value, share), self._float(0.5))

    def _pool(self, states: str) -> None:
        mask = self._op("pool.mask", "Unsqueeze", "mask", self._integers(-1))
        total = self._op("pool.total", "ReduceSum", self._op("pool.kept", "Mul", states, mask), self._integers(1), keepdims=0)
        count = self._op("pool.count", "ReduceSum", mask, self._integers(1), keepdims=0)
        self._op(OUTPUT, "Div", total, self._op("pool.some", "Max", count, self._float(1e-9)))

    def _linear(self, key: str, value: str) -> str:
        weight = self._constant(f"{key}.weight", np.ascontiguousarray(self._weights[f"{key}.weight"].T))
        return self._op(f"{key}.sum", "Add", self._op(f"{key}.product", "MatMul", value, weight), self._weight(f"{key}.bias"))

    def _normalised(self, key: str, value: str) -> str:
        gamma, beta = self._weight(f"{key}.weight"), self._weight(f"{key}.bias")
        epsilon = self._shape.epsilon
        return self._op(f"{key}.normalised", "LayerNormalization", value, gamma, beta, axis=-1, epsilon=epsilon)

    def _op(self, result: str, operator: str, *inputs: str, **attributes: int | float | list[int]) -> str:  # noqa: PYI041 - onnx tells them apart
        node = helper.make_node(operator, inputs, [result], name=result)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self._nodes.append(node)
        return result

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _integers(self, *values: int) -> str:
        return self._constant(f"integers.{values}", np.array(values, np.int64))

    def _float(self, value: float) -> str:
        return self._constant(f"float.{value}", np.array(value, np.float32))

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(value, name))
        return name
