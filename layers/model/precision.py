"""How weights are stored and multiplied: float32 and float16 here, bytes in int8.py, 4 bits in blocks.py.

A precision turns the parts of an encoder into operators. Embedding tables and linear layers are each precision's own; attention and
norms are ONNX Runtime's in float32, if a precision has no better ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handler.embedding.manifest import CodecName, Loading
from layers.model import activations
from layers.model.graph import Graph

type Array = NDArray[np.float32]
type Bounds = tuple[float, float]
"""The lowest mean cosine and the lowest minimum cosine to the model's own fp32 vectors."""


AS_WRITTEN = Loading()
"""A graph is loaded as the builder wrote it: optimizing it at load would take a third of a cold start."""


@dataclass(frozen=True, slots=True)
class Traits:
    """The decisions that depend on a model's precision.

    written: the bounds of a model that is written from its weights.
    exported: the bounds of a model that is made from its own ONNX file; None if that is impossible.
    codec: the form in which the handler rounds and caches vectors.
    loading: how ONNX Runtime loads the graph.
    loading_where_bytes_saturate: how it does so on processors whose sums of products of bytes saturate. It is not used for a graph
        that is portable.
    """

    written: Bounds
    exported: Bounds | None
    codec: CodecName = "scaled16"
    loading: Loading = AS_WRITTEN
    loading_where_bytes_saturate: Loading = AS_WRITTEN


PRECISIONS: Mapping[str, Traits] = {
    "int8": Traits(
        written=(0.998, 0.99),
        exported=(0.99, 0.95),
        # ONNX Runtime makes weights unsigned at load, for kernels that do not saturate: 0.1 s more, and only at this level.
        loading_where_bytes_saturate=Loading("extended", {"session.x64quantprecision": "1"}),
    ),
    "int4": Traits(written=(0.95, 0.90), exported=None),
    # Float16 weights become float32 at load. Converting them in every run would take longer than the run.
    "fp16": Traits(
        written=(0.999999, 0.999999), exported=None, loading=Loading("basic"), loading_where_bytes_saturate=Loading("basic")
    ),
    "fp32": Traits(written=(0.99999, 0.99999), exported=(0.99999, 0.99999), codec="exact32"),
}
"""The one table of precisions, the default first. networks.WRITERS has a row for each of them, too.

A change of how a graph is loaded that changes vectors also raises ENCODER_REVISION (handler/embedding/encoder.py).
"""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer: its `weight` (in, out), its `bias` (out), and what is known of what goes in and comes out."""

    name: str
    weight: Array
    bias: Array
    outliers: bool = False
    """Whether some input channels are far larger than the others, for every token, as after a LayerNorm."""
    activation: str = "linear"
    """What follows, by its name in activations.ENCODERS."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A LayerNorm: `gamma` and `beta` (width)."""

    name: str
    gamma: Array
    beta: Array
    epsilon: float


class Precision(Protocol):
    """Writes the parts of an encoder. Each method returns the name of its result.

    `texts` is how many texts one run of them takes, all of one length: 1, or "texts" if none changes a bit of another's.
    """

    name: str
    texts: int | str

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Rows of `table` (vocabulary, hidden) at `ids`."""
        ...

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        """`value` @ weight + bias, and what follows it."""
        ...

    def attention(self, graph: Graph, name: str, merged: str, heads: int, bias: str) -> str:
        """Attention over `merged` queries, keys and values (texts, tokens, 3 * hidden); `bias` (1, heads, tokens, tokens) or ""."""
        ...

    def add_norm(self, graph: Graph, values: tuple[str, str], norm: Norm) -> str:
        """The norm of the two values' sum."""
        ...

    def mean(self, graph: Graph, name: str, tokens: str) -> str:
        """The means (texts, hidden) of the vectors `tokens` (texts, tokens, hidden)."""
        ...

    def order(self, name: str) -> NDArray[np.intp] | slice:
        """In which order the inputs of the linear layer `name` should come."""
        ...


class Standard:
    """What ONNX Runtime's own operators do for a precision, picked by measurement with ONNX Runtime 1.31 on AVX512-VNNI.

    Add + LayerNormalization rather than SkipLayerNormalization (41 µs against 240), the contributed Gelu rather than BiasGelu, the
    standard Attention without a mask.
    """

    texts: int | str = 1

    def attention(self, graph: Graph, name: str, merged: str, heads: int, bias: str) -> str:
        """The standard operator."""
        parts = graph.ops([f"{name}.{part}" for part in "qkv"], "Split", merged, axis=-1, num_outputs=3)
        return graph.op(name, "Attention", *parts, *([bias] if bias else []), q_num_heads=heads, kv_num_heads=heads)

    def add_norm(self, graph: Graph, values: tuple[str, str], norm: Norm) -> str:
        """A sum and its norm."""
        weights = graph.constant(f"{norm.name}.gamma", norm.gamma), graph.constant(f"{norm.name}.beta", norm.beta)
        added = graph.op(f"{norm.name}.added", "Add", *values)
        return graph.op(norm.name, "LayerNormalization", added, *weights, axis=-1, epsilon=norm.epsilon)

    def mean(self, graph: Graph, name: str, tokens: str) -> str:
        """There is one text: over both axes at once it takes a sixth of the time that it does over tokens alone."""
        axes = graph.constant("text_and_token_axes", np.array([0, 1], np.int64))
        mean = graph.op(f"{name}.flat", "ReduceMean", tokens, axes, keepdims=0)
        return graph.op(name, "Unsqueeze", mean, graph.constant("text_axis", np.array([0], np.int64)))

    def order(self, name: str) -> slice:
        """As they are."""
        del name
        return slice(None)

    @staticmethod
    def activated(graph: Graph, value: str, layer: Linear) -> str:
        """Write what follows a layer's linear part."""
        if layer.activation == "linear":
            return value
        return activations.ENCODERS[layer.activation](graph, f"{layer.name}.{layer.activation}", value)


class Float32(Standard):
    """The exact precision, and the reference of the others."""

    name = "fp32"

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """A plain gather."""
        return graph.op(name, "Gather", graph.constant(f"{name}.table", table), ids)

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        """A plain matrix product."""
        product = graph.op(f"{layer.name}.product", "MatMul", value, self.weight(graph, layer))
        added = graph.op(layer.name, "Add", product, graph.constant(f"{layer.name}.bias", layer.bias))
        return self.activated(graph, added, layer)

    def weight(self, graph: Graph, layer: Linear) -> str:
        """The layer's weight, in float32."""
        return graph.constant(f"{layer.name}.weight", layer.weight)


class Float16(Float32):
    """Weights stored as float16, computed with as float32: half the file and nothing else.

    ONNX Runtime converts a linear layer's weights to float32 when it loads them (see PRECISIONS), and an embedding's rows when they
    are needed.
    """

    name = "fp16"

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Rows of a float16 table."""
        return graph.cast(name, graph.op(f"{name}.rows", "Gather", graph.constant(f"{name}.table", _half(table)), ids))

    def weight(self, graph: Graph, layer: Linear) -> str:
        """Stored as float16."""
        return graph.cast(f"{layer.name}.float", graph.constant(f"{layer.name}.weight", _half(layer.weight)))


def _half(values: Array) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # what float16 cannot hold is infinite, and no vector with it is finite: nothing is written
        return values.astype(np.float16)
