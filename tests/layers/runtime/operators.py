"""The encoder's operators, each in a graph of its own that ONNX Runtime runs."""

import tempfile
from pathlib import Path

import encoder_operators
import numpy as np
import onnxruntime

from layers.model.graph import ENCODER, Graph
from layers.model.int8 import packed, symmetric

type Array = np.ndarray
type Layer = tuple[Array, Array, Array, Array]
"""A linear layer's weights (inputs, outputs) in bytes, their scales, a bias and the smoothing of inputs."""


def session(graph: Path, library: Path) -> onnxruntime.InferenceSession:
    """A graph, loaded with the operators of a library, on one thread."""
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # a refusal is an exception, and need not be logged too
    return onnxruntime.InferenceSession(graph, options)


def run(operator: str, library: Path = encoder_operators.LIBRARY, **given: Array | float) -> Array:
    """What an operator makes of its inputs, which are given in their order, and its attributes."""
    inputs = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    attributes = {name: value for name, value in given.items() if name not in inputs}
    graph = Graph()
    names = [graph.constant(name, value) for name, value in inputs.items()]
    graph.op("result", operator, *names, domain=ENCODER, **attributes)
    graph.output("result", ["any"] * (2 if operator == "Mean" else next(iter(inputs.values())).ndim))
    with tempfile.TemporaryDirectory() as folder:
        graph.write(Path(folder, "graph.onnx"), "weights")
        result: Array = session(Path(folder, "graph.onnx"), library).run(["result"], {})[0]
    return result


def layer(generator: np.random.Generator, inputs: int, outputs: int) -> Layer:
    """One with random weights."""
    weights, scales = symmetric(generator.normal(0, 0.1, (inputs, outputs)).astype(np.float32), axis=0)
    bias = generator.normal(0, 1, outputs).astype(np.float32)
    return weights, scales.ravel(), bias, np.exp2(generator.normal(0, 1, inputs)).astype(np.float32)


def linear(rows: Array, parts: Layer, library: Path = encoder_operators.LIBRARY, gelu: int = 0) -> Array:
    """The operator Linear, its weights packed as the builder packs them."""
    weights, scales, bias, smoothing = parts
    given = {"weights": packed(weights), "scales": scales, "bias": bias, "smoothing": smoothing}
    return run("Linear", library, rows=rows, **given, gelu=gelu)


def attention(qkv: Array, heads: int, bias: Array | None = None, library: Path = encoder_operators.LIBRARY) -> Array:
    """The operator Attention."""
    return run("Attention", library, qkv=qkv, **({} if bias is None else {"bias": bias}), heads=heads)
