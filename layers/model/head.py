"""What comes after an encoder, as a graph: pooling, then Dense layers, up to the vector before its normalisation.

A model that leaves its prompt out of the pool takes `prompt_tokens`, how many of the first tokens are the prompt's. All of it is
in the graph because Dense layers come after the pool: done outside, both would have to be written a second time in the handler.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from layers.model.graph import CONTRIB, Graph
from layers.model.modules import Dense, Pooling
from layers.model.precision import Array, Precision

PROMPT_TOKENS = "prompt_tokens"


@dataclass(frozen=True, slots=True)
class Layer:
    """A Dense module with its weights (outputs, inputs) and bias (outputs)."""

    module: Dense
    weight: Array
    bias: Array | None


def write_head(
    graph: Graph, tokens: str, precision: Precision, pooling: Pooling, layers: Sequence[Layer], dimension: int | None = None
) -> None:
    """Token vectors (texts, tokens, hidden) to the outputs `token_embeddings` (the same) and `pooled` (texts, dimension).

    Without a dimension, all that the last layer gives.
    """
    tokens = graph.op("token_embeddings", "Identity", tokens)
    graph.output(tokens, ["texts", "tokens", pooling.hidden])
    pools = [_pooled(graph, tokens, precision, mode, pooling) for mode in pooling.modes]
    all_of_it = layers[-1].module.outputs if layers else pooling.dimension
    dimension = dimension or all_of_it
    if not layers and dimension == all_of_it:
        graph.op("pooled", "Concat", *pools, axis=-1)
        graph.output("pooled", ["texts", dimension])
        return
    vector = graph.op("pooled.modes", "Concat", *pools, axis=-1)
    for index, layer in enumerate(layers):
        vector = _dense(graph, f"dense.{index}", vector, layer)
    if dimension == all_of_it:
        graph.op("pooled", "Identity", vector)
    else:
        ends = [
            graph.constant(f"pooled.{name}", np.array([end], np.int64))
            for name, end in (("from", 0), ("to", dimension), ("axis", 1))
        ]
        graph.op("pooled", "Slice", vector, *ends)
    graph.output("pooled", ["texts", dimension])


def takes_several(pooling: Pooling, layers: Sequence[Layer]) -> bool:
    """Whether a run of several texts gives each the bits it has alone: not if ONNX Runtime sums, in another order then."""
    return pooling.include_prompt and not layers and set(pooling.modes) <= {"mean", *WHOLE}


def _pooled(graph: Graph, tokens: str, precision: Precision, mode: str, pooling: Pooling) -> str:
    if pooling.include_prompt and mode == "mean":
        return precision.mean(graph, "pooled.mean", tokens)
    if pooling.include_prompt and mode in WHOLE:
        return WHOLE[mode](graph, tokens)
    return WEIGHTED[mode](_Places.write(graph, tokens, pooling), tokens)


def _dense(graph: Graph, name: str, value: str, layer: Layer) -> str:
    weight = graph.constant(f"{name}.weight", np.ascontiguousarray(layer.weight.T))
    value = graph.op(f"{name}.product", "MatMul", value, weight)
    if layer.bias is not None:
        value = graph.op(f"{name}.linear", "Add", value, graph.constant(f"{name}.bias", layer.bias))
    operator, domain = ACTIVATIONS[layer.module.activation]
    return graph.op(f"{name}.result", operator, value, domain=domain)


ACTIVATIONS = {
    "Identity": ("Identity", ""),
    "Tanh": ("Tanh", ""),
    "ReLU": ("Relu", ""),
    "Sigmoid": ("Sigmoid", ""),
    "GELU": ("Gelu", CONTRIB),
}
"""The operator and its domain for each activation of modules.py."""


# --- Pooling over all tokens ------------------------------------------------------------------------------


def _cls(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.cls", "Gather", tokens, graph.constant("first", np.array(0, np.int64)), axis=1)


def _lasttoken(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.lasttoken", "Gather", tokens, graph.constant("last", np.array(-1, np.int64)), axis=1)


def _max(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.max", "ReduceMax", tokens, _token_axis(graph), keepdims=0)


WHOLE: Mapping[str, Callable[[Graph, str], str]] = {"cls": _cls, "max": _max, "lasttoken": _lasttoken}
"""Pooling modes that need no weights as long as every token counts; the mean is the precision's."""


def _token_axis(graph: Graph) -> str:
    return graph.constant("token_axis", np.array([1], np.int64))


# --- Pooling by weights, which leave out the prompt -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Places:
    """For each token its place, and whether it counts. Values are (tokens, 1): floats, or booleans in `counts`."""

    graph: Graph
    places: str
    counts: str
    weights: str
    prompt: str
    length: str

    @classmethod
    def write(cls, graph: Graph, tokens: str, pooling: Pooling) -> "_Places":
        """Once for all modes of a graph: the same names are the same values."""
        prompt = graph.constant("no_prompt", np.array([0], np.int64)) if pooling.include_prompt else PROMPT_TOKENS
        names = cls(graph, "places.float", "places.counts", "places.weights", prompt, "places.length")
        if graph.has(names.weights):
            return names
        if not pooling.include_prompt:
            graph.input(PROMPT_TOKENS, [1])
        one = graph.constant("one", np.array(1, np.int64))
        graph.op(names.length, "Shape", tokens, start=1, end=2)
        end = graph.op("places.end", "Add", graph.op("places.count", "Squeeze", names.length), one)
        column = graph.constant("places.column", np.array([1], np.int64))
        places = graph.op("places.integer", "Unsqueeze", graph.op("places.row", "Range", one, end, one), column)
        graph.op(names.counts, "Greater", places, prompt)
        graph.cast(names.places, places)
        graph.cast(names.weights, names.counts)
        return names

    def total(self, name: str, values: str, weights: str) -> str:
        """The sum (1, hidden) of the token vectors by weights."""
        weighted = self.graph.op(f"{name}.weighted", "Mul", values, weights)
        return self.graph.op(f"{name}.sum", "ReduceSum", weighted, _token_axis(self.graph), keepdims=0)

    def average(self, name: str, values: str, weights: str, root: str = "Identity") -> str:
        """The sum by weights over the weights' own sum, or what `root` makes of that."""
        total = self.total(name, values, weights)
        floor = self.graph.constant("smallest_sum", np.array(1e-9, np.float32))
        weight = self.graph.op(f"{name}.weight", "ReduceSum", weights, keepdims=0)
        divisor = self.graph.op(f"{name}.divisor", root, self.graph.op(f"{name}.floored", "Max", weight, floor))
        return self.graph.op(name, "Div", total, divisor)


def _weighted_cls(places: _Places, tokens: str) -> str:
    """The first token that counts; the very first if none does."""
    graph = places.graph
    zero = graph.constant("zero", np.array([0], np.int64))
    within = graph.op("cls.within", "Less", places.prompt, places.length)
    first = graph.op("cls.first", "Where", within, places.prompt, zero)
    return graph.op("pooled.cls", "Squeeze", graph.op("cls.token", "Gather", tokens, first, axis=1), _token_axis(graph))


def _weighted_max(places: _Places, tokens: str) -> str:
    graph = places.graph
    least = graph.constant("least", np.array(-np.inf, np.float32))
    return _max(graph, graph.op("max.counting", "Where", places.counts, tokens, least))


def _weighted_mean(places: _Places, tokens: str) -> str:
    return places.average("pooled.mean", tokens, places.weights)


def _mean_sqrt_len(places: _Places, tokens: str) -> str:
    return places.average("pooled.mean_sqrt_len_tokens", tokens, places.weights, root="Sqrt")


def _weightedmean(places: _Places, tokens: str) -> str:
    """Weights grow with the place in the text, the prompt's tokens counted along."""
    weights = places.graph.op("weightedmean.weights", "Mul", places.places, places.weights)
    return places.average("pooled.weightedmean", tokens, weights)


def _weighted_lasttoken(places: _Places, tokens: str) -> str:
    """Zero if not even the last token counts."""
    return _lasttoken(places.graph, places.graph.op("lasttoken.counting", "Mul", tokens, places.weights))


WEIGHTED: Mapping[str, Callable[[_Places, str], str]] = {
    "cls": _weighted_cls,
    "max": _weighted_max,
    "mean": _weighted_mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _weightedmean,
    "lasttoken": _weighted_lasttoken,
}
"""All pooling modes, by their Sentence Transformers name; several are concatenated."""
