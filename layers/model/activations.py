"""Write activation functions into a graph. The tables have their names in transformers and in torch.nn."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from layers.model.graph import CONTRIB, Graph

type Write = Callable[[Graph, str, str], str]
"""A function that writes an activation: it takes the graph, a name for the result, and the value; it returns the result's name."""


def _operator(operator: str, domain: str = "", **attributes: Any) -> Write:  # noqa: ANN401 - as onnx takes them
    """Return a writer of one operator."""
    return lambda graph, name, value: graph.op(name, operator, value, domain=domain, **attributes)


def _clip(least: float, most: float) -> Write:
    def write(graph: Graph, name: str, value: str) -> str:
        bounds = [graph.constant(f"{name}.{end}", np.array(at, np.float32)) for end, at in (("least", least), ("most", most))]
        return graph.op(name, "Clip", value, *bounds)

    return write


def _gated(graph: Graph, name: str, value: str, scale: float = 1) -> str:
    """Write value * sigmoid(scale * value)."""
    scaled = value if scale == 1 else graph.op(f"{name}.scaled", "Mul", value, _number(graph, name, scale))
    return graph.op(name, "Mul", value, graph.op(f"{name}.gate", "Sigmoid", scaled))


def _negated(operator: str, graph: Graph, name: str, value: str, **attributes: Any) -> str:  # noqa: ANN401 - as onnx takes them
    """Write an operator applied to -value."""
    return graph.op(name, operator, graph.op(f"{name}.negated", "Neg", value), **attributes)


def _log_sigmoid(graph: Graph, name: str, value: str) -> str:
    return graph.op(name, "Neg", _negated("Softplus", graph, f"{name}.softplus", value))


def _without_tanh(graph: Graph, name: str, value: str) -> str:
    """Write value - tanh(value)."""
    return graph.op(name, "Sub", value, graph.op(f"{name}.tanh", "Tanh", value))


def _number(graph: Graph, name: str, number: float) -> str:
    return graph.constant(f"{name}.number", np.array(number, np.float32))


SILU: Write = _gated
IDENTITY, GELU = _operator("Identity"), _operator("Gelu", CONTRIB)
GELU_BY_TANH = _operator("Gelu", approximate="tanh")
RELU, TANH, SIGMOID = _operator("Relu"), _operator("Tanh"), _operator("Sigmoid")
RELU6, HARD_SWISH, MISH = _clip(0, 6), _operator("HardSwish"), _operator("Mish")
LEAKY_RELU = _operator("LeakyRelu", alpha=0.01)

ENCODERS: Mapping[str, Write] = {
    "gelu": GELU,
    "gelu_python": GELU,
    "gelu_new": GELU_BY_TANH,
    "gelu_fast": GELU_BY_TANH,
    "gelu_accurate": GELU_BY_TANH,
    "gelu_pytorch_tanh": GELU_BY_TANH,
    "gelu_python_tanh": GELU_BY_TANH,
    "quick_gelu": partial(_gated, scale=1.702),
    "relu": RELU,
    "relu6": RELU6,
    "leaky_relu": LEAKY_RELU,
    "silu": SILU,
    "swish": SILU,
    "hardswish": HARD_SWISH,
    "mish": MISH,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "linear": IDENTITY,
}
"""The one table of encoders' activations, by their names in config.json."""

DENSE: Mapping[str, Write] = {
    "Identity": IDENTITY,
    "Tanh": TANH,
    "ReLU": RELU,
    "Sigmoid": SIGMOID,
    "GELU": GELU,
    "SiLU": SILU,
    "LeakyReLU": LEAKY_RELU,
    "Softmax": _operator("Softmax", axis=-1),
    "ELU": _operator("Elu"),
    "SELU": _operator("Selu"),
    "CELU": _operator("Celu"),
    "Softplus": _operator("Softplus"),
    "Softsign": _operator("Softsign"),
    "Softmin": partial(_negated, "Softmax", axis=-1),
    "LogSoftmax": _operator("LogSoftmax", axis=-1),
    "LogSigmoid": _log_sigmoid,
    "Hardtanh": _clip(-1, 1),
    "Hardsigmoid": _operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    "Hardswish": HARD_SWISH,
    "ReLU6": RELU6,
    "Mish": MISH,
    "Tanhshrink": _without_tanh,
    "Hardshrink": _operator("Shrink", lambd=0.5),
    "Softshrink": _operator("Shrink", lambd=0.5, bias=0.5),
}
"""The one table of Dense modules' activations, by their classes in torch.nn, with the default arguments of the class."""

OVER_TEXTS = ("Softmax", "Softmin", "LogSoftmax")
"""On tokens, torch computes these over the texts of a batch: a text's vector would depend on the other texts."""
