"""How weights are stored and multiplied: float32, float16, or int8 that knows where the outliers are; 4 bits are in blocks.py.

A precision turns the two heavy parts of an encoder, embedding tables and linear layers, into operators; everything else in a
graph is float32 and the same for all.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from layers.model.graph import CONTRIB, Graph

type Array = NDArray[np.float32]


class Outliers(Enum):
    """Where the inputs of a linear layer are far larger than elsewhere: what a shared 8-bit scale would lose the rest to."""

    NONE = auto()
    CHANNELS = auto()  # the same few channels for every token, as after a LayerNorm


class Precision(Protocol):
    """Writes embedding look-ups and linear layers."""

    name: str

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Rows of `table` (vocabulary, hidden) at `ids`."""
        ...

    def linear(self, graph: Graph, name: str, value: str, weight: Array, bias: Array, outliers: Outliers) -> str:
        """`value` @ `weight` (in, out) + `bias` (out)."""
        ...

    def apart(self, name: str) -> list[int]:
        """The input channels of the linear layer `name` that it must not be given: they are multiplied in float32, beside it."""
        ...


class Float32:
    """The exact precision, and the reference of the others."""

    name = "fp32"

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """A plain gather."""
        return graph.op(name, "Gather", graph.constant(f"{name}.table", table), ids)

    def linear(self, graph: Graph, name: str, value: str, weight: Array, bias: Array, outliers: Outliers) -> str:
        """A plain matrix product."""
        del outliers  # float32 has room for both ends
        product = graph.op(f"{name}.product", "MatMul", value, graph.constant(f"{name}.weight", weight))
        return graph.op(name, "Add", product, graph.constant(f"{name}.bias", bias))

    def apart(self, name: str) -> list[int]:
        """None: all are multiplied in float32."""
        del name
        return []


class Float16(Float32):
    """Weights stored as float16, computed with as float32: half the file and nothing else.

    ONNX Runtime makes a linear layer's weights float32 when it loads them, which the handler lets it do for this precision
    (handler/embedding/encoder.py); done in every run it would take longer than the run. An embedding's rows are made when needed.
    """

    name = "fp16"

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Rows of a float16 table."""
        return graph.cast(name, graph.op(f"{name}.rows", "Gather", graph.constant(f"{name}.table", _half(table)), ids))

    def linear(self, graph: Graph, name: str, value: str, weight: Array, bias: Array, outliers: Outliers) -> str:
        """A plain matrix product."""
        del outliers
        stored = graph.constant(f"{name}.weight", _half(weight))
        product = graph.op(f"{name}.product", "MatMul", value, graph.cast(f"{name}.float", stored))
        return graph.op(name, "Add", product, graph.constant(f"{name}.bias", bias))


def _half(values: Array) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # what float16 cannot hold is infinite, and no vector with it is finite: nothing is written
        return values.astype(np.float16)


class Int8:
    """Weights int8 per output channel; activations 8 bit, scaled at run time by the text they are in.

    Outlying channels are smoothed: inputs are divided by a factor a channel and weights multiplied by it, which moves the outliers
    into the weights, where each channel has a scale of its own (SmoothQuant, Xiao et al. 2022, arXiv:2211.10438, equation 4).
    After a Gelu they are massive activations (Sun et al. 2024, arXiv:2402.17762): one or a few channels, of one token often, ten
    times as large as all else. Those stay apart, in float32 (LLM.int8(), Dettmers et al. 2022, arXiv:2208.07339, section 3.2).
    On all-MiniLM-L6-v2 (1,000 passages) mean and minimum cosine are 0.9931 and 0.983 without either, 0.9991 and 0.9979 with both.
    """

    name = "int8"

    def __init__(self, activations: Mapping[str, Array]) -> None:
        """Quantize with the calibrated largest absolute value (in,) of each input of each linear layer."""
        self._activations = activations

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Int8 rows with a scale a row."""
        quantized, scales = symmetric(table, axis=1)
        rows = graph.op(f"{name}.rows", "Gather", graph.constant(f"{name}.table", quantized), ids)
        row_scales = graph.op(f"{name}.row_scales", "Gather", graph.constant(f"{name}.scales", scales), ids)
        return graph.op(name, "Mul", graph.op(f"{name}.float", "Cast", rows, to=TensorProto.FLOAT), row_scales)

    def linear(self, graph: Graph, name: str, value: str, weight: Array, bias: Array, outliers: Outliers) -> str:
        """One fused operator quantizes the input, multiplies in int8 and rescales; outliers are taken out before it."""
        match outliers:
            case Outliers.NONE:
                return self._product(graph, name, value, weight, bias)
            case Outliers.CHANNELS:
                factors = smoothing_factors(self._activations[name], weight)
                smoothed = graph.op(f"{name}.smoothed", "Mul", value, graph.constant(f"{name}.smoothing", 1 / factors))
                return self._product(graph, name, smoothed, weight * factors[:, np.newaxis], bias)

    def apart(self, name: str) -> list[int]:
        """The channels, at most FEW, that reach far beyond the others."""
        largest = self._activations[name]
        usual = np.sort(largest)[-1 - min(FEW, len(largest) // 2)]
        return [int(channel) for channel in np.flatnonzero(largest > FAR * usual)]

    @staticmethod
    def _product(graph: Graph, name: str, value: str, weight: Array, bias: Array) -> str:
        quantized, scales = symmetric(weight, axis=0)
        constants = [graph.constant(f"{name}.weight", quantized), graph.constant(f"{name}.scales", scales.ravel())]
        constants += ["", graph.constant(f"{name}.bias", bias)]  # "": symmetric, there is no zero point
        return graph.op(name, "DynamicQuantizeMatMul", value, *constants, domain=CONTRIB)


FEW, FAR = 32, 1.25
"""A channel stays apart if its largest value is more than FAR times that of the one which FEW channels exceed.

Two columns or twelve cost the same, beside a matrix of hundreds. With 16 and 2 all-mpnet-base-v2 is at 0.9978, now at 0.9985.
"""


def symmetric(values: Array, axis: int) -> tuple[NDArray[np.int8], Array]:
    """`values` as int8 in -127..127 with one scale for each slice along `axis`; shapes (…) and (…, 1 at `axis`, …)."""
    scales: Array = (np.abs(values).max(axis=axis, keepdims=True) / np.float32(127)).astype(np.float32)
    scales[scales == 0] = 1
    return np.rint(values / scales).astype(np.int8), scales


SMOOTHING_STRENGTH = 0.7
"""SmoothQuant's alpha: how much of an activation's range moves into the weights. Best of 0.5 to 1.0 on all-MiniLM-L6-v2."""


def smoothing_factors(activations: Array, weight: Array) -> Array:
    """One factor an input channel, powers of 2 in sixteenths.

    The grid makes the same factors out of calibrations that differ in their last bits, as between kinds of CPU, and so the same
    model file.
    """
    tiny = np.float32(1e-5)
    moved = np.maximum(activations, tiny) ** SMOOTHING_STRENGTH
    kept = np.maximum(np.abs(weight).max(axis=1), tiny) ** (1 - SMOOTHING_STRENGTH)
    factors: Array = np.exp2(np.rint(np.log2(moved / kept) * 16) / 16).astype(np.float32)
    return factors
