"""Precisions: how weights are stored and multiplied. float32 and float16 are here, the others in int8.py and int4.py.

A precision writes the parts of an encoder as operators. Each has its own embeddings and linear layers. Attention and norms are ONNX
Runtime's float32 operators, unless a precision has better ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handler.embedding.manifest import CodecName, Loading
from layers.model import activations, standard_attention
from layers.model.graph import Graph

type Array = NDArray[np.float32]
type Bounds = tuple[float, float]
"""The lowest mean cosine and the lowest minimum cosine to the model's own fp32 vectors."""


AS_WRITTEN = Loading()
"""Load a graph as the builder wrote it: optimizing it then would take a third of a cold start."""


@dataclass(frozen=True, slots=True)
class Traits:
    """The decisions that depend on a model's precision.

    written: the bounds of a model that is written from its weights.
    exported: the bounds of a model that is made from its own ONNX file; None if that is impossible.
    scores: the bounds of a cross-encoder: the lowest correlation of its scores with those of fp32, and that of their ranks.
    codec: the form in which the handler rounds and caches vectors.
    loading: how ONNX Runtime loads the graph.
    loading_where_bytes_saturate: how it does so on processors whose sums of products of bytes saturate. It is not used for a graph
        that is portable.
    """

    written: Bounds
    exported: Bounds | None
    scores: Bounds
    codec: CodecName = "scaled16"
    loading: Loading = AS_WRITTEN
    loading_where_bytes_saturate: Loading = AS_WRITTEN


PRECISIONS: Mapping[str, Traits] = {
    "int8": Traits(
        written=(0.998, 0.99),
        exported=(0.99, 0.95),
        scores=(0.99, 0.95),
        # ONNX Runtime makes weights unsigned at load, for kernels that do not saturate: 0.1 s more, and only at this level.
        loading_where_bytes_saturate=Loading("extended", {"session.x64quantprecision": "1"}),
    ),
    "int4": Traits(written=(0.95, 0.90), exported=None, scores=(0.95, 0.85)),
    # Float16 weights become float32 at load. Converting them in every run would take longer than the run.
    "fp16": Traits(
        written=(0.999999, 0.999999),
        exported=None,
        scores=(0.99999, 0.999),
        loading=Loading("basic"),
        loading_where_bytes_saturate=Loading("basic"),
    ),
    "fp32": Traits(written=(0.99999, 0.99999), exported=(0.99999, 0.99999), scores=(0.99999, 0.999), codec="exact32"),
}
"""The one table of precisions, the default first. networks.WRITERS has a row for each of them, too.

If you change how a graph is loaded and that changes vectors, raise ENCODER_REVISION (handler/embedding/encoder.py).
"""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer with its `weight` (in, out), its `bias` (out) or None, and the activation after it."""

    name: str
    weight: Array
    bias: Array | None
    outliers: bool = False
    """True if some input channels are far larger than the others for every token, as they are after a LayerNorm."""
    activation: str = "linear"
    """The activation's name in activations.ENCODERS."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A LayerNorm (`centered`) or RMSNorm with its weights `gamma` and `beta` (width); `beta` may be None."""

    name: str
    gamma: Array
    beta: Array | None
    epsilon: float
    centered: bool = True


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotary positions with their `table` (positions, 2, rotated / 2) of cosines and sines.

    gammas: the weights (width) of the RMSNorms of each head's query and key, which come first; None without them.
    """

    name: str
    table: Array
    gammas: tuple[Array, Array] | None = None
    epsilon: float = 0


@dataclass(frozen=True, slots=True)
class Attention:
    """The attention of one layer, over merged queries, keys and values (texts, tokens, (heads + 2 * key_value_heads) * width).

    causal: true if a token sees only those before it.
    window: the largest distance of a token that is seen; None for any.
    scale: the factor of scores; None for 1 / the square root of the width.
    slopes: for each head, what is subtracted from a score for each token of distance (ALiBi, Press et al. 2022, arXiv:2108.12409).
    """

    name: str
    heads: int
    key_value_heads: int
    width: int
    causal: bool = False
    window: int | None = None
    scale: float | None = None
    slopes: Array | None = None
    rotation: Rotation | None = None


class Precision(Protocol):
    """Writes the parts of an encoder. Each method returns the name of its result.

    `texts` is the number of texts in one run, all of the same length: 1, or "texts" (any number) if no text changes a bit of
    another.
    """

    name: str
    texts: int | str

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Write a lookup of the rows `ids` in `table` (vocabulary, hidden)."""
        ...

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        """Write `value` @ weight + bias, and the activation after it."""
        ...

    def attention(self, graph: Graph, merged: str, layer: Attention, bias: str) -> str:
        """Write attention over `merged` queries, keys and values.

        `bias` (1, heads, tokens, tokens) is added to scores, unless it is "".
        """
        ...

    def gate(self, graph: Graph, name: str, value: str, activation: str) -> str:
        """Write the activation of the first half of `value` (texts, tokens, 2 * width), multiplied by the second half."""
        ...

    def norm(self, graph: Graph, value: str, norm: Norm) -> str:
        """Write the norm of a value."""
        ...

    def add_norm(self, graph: Graph, values: tuple[str, str], norm: Norm) -> str:
        """Write the norm of the sum of two values."""
        ...

    def mean(self, graph: Graph, name: str, tokens: str) -> str:
        """Write the means (texts, hidden) of the vectors `tokens` (texts, tokens, hidden)."""
        ...

    def product(self, graph: Graph, name: str, value: str, weight: str) -> str:
        """Write `value` @ `weight`, a float32 constant (in, out), of a module after the encoder."""
        ...

    def order(self, name: str) -> NDArray[np.intp] | slice:
        """Return the order in which the inputs of the linear layer `name` should come."""
        ...


class Standard:
    """The parts of a precision that use ONNX Runtime's own operators, the fastest of ONNX Runtime 1.31 on AVX-512 VNNI.

    Add and LayerNormalization take 41 µs, SkipLayerNormalization 240. Gelu of ONNX Runtime is faster than BiasGelu. Attention is
    ONNX's, without a mask.
    """

    texts: int | str = 1

    def attention(self, graph: Graph, merged: str, layer: Attention, bias: str) -> str:
        """Write ONNX's RMSNormalization and RotaryEmbedding if the layer has them, and ONNX's Attention."""
        return standard_attention.write(graph, merged, layer, bias)

    def gate(self, graph: Graph, name: str, value: str, activation: str) -> str:
        """Write the activation and the product of the halves."""
        return gated(graph, name, value, activation)

    def norm(self, graph: Graph, value: str, norm: Norm) -> str:
        """Write the norm of a value."""
        gamma = graph.constant(f"{norm.name}.gamma", norm.gamma)
        if not norm.centered:
            return graph.op(norm.name, "RMSNormalization", value, gamma, axis=-1, epsilon=norm.epsilon)
        weights = (gamma,) if norm.beta is None else (gamma, graph.constant(f"{norm.name}.beta", norm.beta))
        return graph.op(norm.name, "LayerNormalization", value, *weights, axis=-1, epsilon=norm.epsilon)

    def add_norm(self, graph: Graph, values: tuple[str, str], norm: Norm) -> str:
        """Write the sum of two values, and its norm."""
        return self.norm(graph, graph.op(f"{norm.name}.added", "Add", *values), norm)

    def mean(self, graph: Graph, name: str, tokens: str) -> str:
        """Write the mean over both axes. There is one text, and this takes a sixth of the time of a mean over tokens only."""
        axes = graph.constant("text_and_token_axes", np.array([0, 1], np.int64))
        mean = graph.op(f"{name}.flat", "ReduceMean", tokens, axes, keepdims=0)
        return graph.op(name, "Unsqueeze", mean, graph.constant("text_axis", np.array([0], np.int64)))

    def product(self, graph: Graph, name: str, value: str, weight: str) -> str:
        """Write a matrix product."""
        return graph.op(name, "MatMul", value, weight)

    def order(self, name: str) -> slice:
        """Keep the order of channels."""
        del name
        return slice(None)

    @staticmethod
    def activated(graph: Graph, value: str, layer: Linear) -> str:
        """Write the activation of a layer."""
        if layer.activation == "linear":
            return value
        return activations.ENCODERS[layer.activation](graph, f"{layer.name}.{layer.activation}", value)


class Float32(Standard):
    """The exact precision, with which the others are compared."""

    name = "fp32"

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Write a Gather."""
        return graph.op(name, "Gather", graph.constant(f"{name}.table", table), ids)

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        """Write a matrix product."""
        product = graph.op(f"{layer.name}.product", "MatMul", value, self.weight(graph, layer))
        if layer.bias is not None:
            product = graph.op(layer.name, "Add", product, graph.constant(f"{layer.name}.bias", layer.bias))
        return self.activated(graph, product, layer)

    def weight(self, graph: Graph, layer: Linear) -> str:
        """Write the layer's weight as float32."""
        return graph.constant(f"{layer.name}.weight", layer.weight)


class Float16(Float32):
    """Weights that are stored as float16 and multiplied as float32: the file has half the size, the speed is the same.

    ONNX Runtime converts the weights of linear layers to float32 when it loads them (see PRECISIONS), and rows of embeddings when a
    text needs them.
    """

    name = "fp16"

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Write a lookup in a float16 table."""
        return graph.cast(name, graph.op(f"{name}.rows", "Gather", graph.constant(f"{name}.table", _half(table)), ids))

    def weight(self, graph: Graph, layer: Linear) -> str:
        """Write the layer's weight as float16, and its conversion to float32."""
        return graph.cast(f"{layer.name}.float", graph.constant(f"{layer.name}.weight", _half(layer.weight)))


def gated(graph: Graph, name: str, value: str, activation: str) -> str:
    """Write the activation of the first half of a value, multiplied by the second half, with ONNX's operators."""
    gate, values = graph.ops([f"{name}.gate", f"{name}.values"], "Split", value, axis=-1, num_outputs=2)
    return graph.op(name, "Mul", activations.ENCODERS[activation](graph, f"{name}.{activation}", gate), values)


def _half(values: Array) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # a weight too large for float16 becomes infinite: no vector is finite, the model is refused
        return values.astype(np.float16)
