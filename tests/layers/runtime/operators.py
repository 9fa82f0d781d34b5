"""Run single operators of the encoder with one set of kernels, each in a graph of its own that ONNX Runtime runs."""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import encoder_operators
import numpy as np
import onnxruntime

from layers.model.graph import ENCODER, Graph
from layers.model.int8 import packed, symmetric
from layers.runtime.operators import KERNELS_ENTRY, THREADS_ENTRY, build

type Array = np.ndarray
type Layer = tuple[Array, Array, Array, Array]
"""A linear layer's weights (inputs, outputs) as bytes, their scales, the bias and the smoothing of the inputs."""

NUMBERS = count()
"""Numbers for the names of graphs. A file that a session still maps is never written over."""
PLAIN = Path(__file__).with_name("plain")
PLAIN_SETS = ("avx512_vnni", "i8mm", "dotprod")
"""The sets of kernels that are also compiled with plain C in place of their instructions, and so run on every machine."""


def compile_plain(out: Path, source: Path = build.HERE, sets: Sequence[str] = PLAIN_SETS) -> None:
    """Compile the library whose sets of kernels are in plain C, for this machine."""
    # These kernels use only those of the machine's instructions that the compiler chooses.
    processor = {"x86_64": build.AVX2, "arm64": "generic"}[build.machine()]
    options = ["-DEMULATED", f"-I{PLAIN}"]
    build.compile_library(out, *build.this_machine(), dict.fromkeys(sets, processor), options, source)


@cache
def scratch() -> Path:
    """Make this process's folder for graphs. A folder for each graph takes 3 ms on some file systems, and there are thousands."""
    folder = tempfile.mkdtemp(prefix="operators-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@dataclass(frozen=True)
class Operators:
    """The operators of a library, configured for a session."""

    library: Path = encoder_operators.LIBRARY
    kernels: str = ""
    """The name of a set; if empty, the session names none."""
    threads: int | str = 1
    """The number of threads that may share an operator's work."""
    intra_op_threads: int = 1

    def options(self) -> onnxruntime.SessionOptions:
        """Return a session's options with the operators registered."""
        options = onnxruntime.SessionOptions()
        if self.kernels:
            options.add_session_config_entry(KERNELS_ENTRY, self.kernels)
        options.add_session_config_entry(THREADS_ENTRY, str(self.threads))
        options.register_custom_ops_library(str(self.library))
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = self.intra_op_threads
        options.log_severity_level = 4  # a refusal raises an exception and need not be logged too
        return options

    def session(self, graph: Path) -> onnxruntime.InferenceSession:
        """Load a graph with these operators."""
        return onnxruntime.InferenceSession(graph, self.options())

    def run(self, operator: str, **given: Array | float | None) -> Array:
        """Return the result of an operator. The arguments are its inputs in their order, and its attributes.

        An input that is None is left out.
        """
        graph = scratch() / f"{next(NUMBERS)}.onnx"
        try:
            write(graph, operator, **given)
            result: Array = self.session(graph).run(["result"], {})[0]
        finally:
            for file in (graph, graph.with_suffix(".weights")):
                file.unlink(missing_ok=True)
        return result

    def linear(self, rows: Array, parts: Layer, gelu: int = 0, fine: int = 0) -> Array:
        """Run Linear, with weights that are packed like the builder's."""
        return self.run("Linear", **linear_inputs(rows, parts), gelu=gelu, fine=fine)

    def attention(
        self, qkv: Array, heads: int, bias: Array | None = None, slopes: Array | None = None, **attributes: float
    ) -> Array:
        """Run Attention."""
        return self.run("Attention", qkv=qkv, bias=bias, slopes=slopes, heads=heads, **attributes)

    def add_norm(self, one: Array, other: Array, gamma: Array, beta: Array, epsilon: float = 1e-12) -> Array:
        """Run AddNorm."""
        return self.run("AddNorm", one=one, other=other, gamma=gamma, beta=beta, epsilon=epsilon)

    def mean(self, values: Array) -> Array:
        """Run Mean."""
        return self.run("Mean", values=values)


def write(out: Path, operator: str, **given: Array | float | None) -> None:
    """Write a graph of one operator, with its inputs as constants. An input that is None is left out."""
    inputs = {name: value for name, value in given.items() if value is None or isinstance(value, np.ndarray)}
    attributes = {name: value for name, value in given.items() if name not in inputs}
    graph = Graph()
    names = ["" if value is None else graph.constant(name, value) for name, value in inputs.items()]
    while not names[-1]:
        names.pop()
    graph.op("result", operator, *names, domain=ENCODER, **attributes)
    (first, *_) = (value for value in inputs.values() if value is not None)
    graph.output("result", ["any"] * (2 if operator == "Mean" else first.ndim))
    graph.write(out, f"{out.stem}.weights")


def linear_inputs(rows: Array, parts: Layer) -> dict[str, Array]:
    """Return the inputs of Linear by name, in their order."""
    weights, scales, bias, smoothing = parts
    return {"rows": rows, "weights": packed(weights), "scales": scales, "bias": bias, "smoothing": smoothing}


def layer(generator: np.random.Generator, inputs: int, outputs: int) -> Layer:
    """Return a linear layer with random weights."""
    weights, scales = symmetric(generator.normal(0, 0.1, (inputs, outputs)).astype(np.float32), axis=0)
    bias = generator.normal(0, 1, outputs).astype(np.float32)
    return weights, scales.ravel(), bias, np.exp2(generator.normal(0, 1, inputs)).astype(np.float32)
