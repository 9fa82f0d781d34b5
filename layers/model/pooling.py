"""Write Pooling into a graph: it makes one vector from the vectors of a text's tokens, in any of Sentence Transformers' modes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from layers.model.graph import Graph
from layers.model.modules import Pooling
from layers.model.precision import Precision

PROMPT_TOKENS = "prompt_tokens"
"""An input of models whose pooling leaves out the prompt: how many of the first tokens belong to the prompt."""


def pooled(graph: Graph, tokens: str, precision: Precision, pooling: Pooling, weight: str = "") -> list[str]:
    """Write the result (texts, hidden) of each mode over the token vectors (texts, tokens, hidden); return their names.

    `weight` (texts, 1) is the sum of the tokens' weights, by which means are divided, or "" if the tokens have no weights.
    """
    return [_mode(graph, tokens, precision, mode, pooling, weight) for mode in pooling.modes]


def _mode(graph: Graph, tokens: str, precision: Precision, mode: str, pooling: Pooling, weight: str) -> str:
    if pooling.include_prompt and mode == "mean" and not weight:
        return precision.mean(graph, "pooled.mean", tokens)
    if pooling.include_prompt and mode in WHOLE:
        return WHOLE[mode](graph, tokens)
    return WEIGHTED[mode](_Places.write(graph, tokens, pooling, weight), tokens)


# --- Pooling over all tokens ------------------------------------------------------------------------------


def _cls(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.cls", "Gather", tokens, graph.constant("first", np.array(0, np.int64)), axis=1)


def _lasttoken(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.lasttoken", "Gather", tokens, graph.constant("last", np.array(-1, np.int64)), axis=1)


def _max(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.max", "ReduceMax", tokens, _token_axis(graph), keepdims=0)


WHOLE: Mapping[str, Callable[[Graph, str], str]] = {"cls": _cls, "max": _max, "lasttoken": _lasttoken}
"""Simpler forms of modes for texts of which every token counts. The precision writes the mean."""


def _token_axis(graph: Graph) -> str:
    return graph.constant("token_axis", np.array([1], np.int64))


# --- Pooling by weights, which leave out the prompt -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Places:
    """The names of values that say for each token its place, and whether it counts.

    `places` and `weights` are floats (tokens, 1), `counts` are booleans (tokens, 1).
    """

    graph: Graph
    places: str
    counts: str
    weights: str
    prompt: str
    length: str
    weight: str

    @classmethod
    def write(cls, graph: Graph, tokens: str, pooling: Pooling, weight: str) -> "_Places":
        """Write the values, unless another mode of the same graph has written them."""
        prompt = graph.constant("no_prompt", np.array([0], np.int64)) if pooling.include_prompt else PROMPT_TOKENS
        names = cls(graph, "places.float", "places.counts", "places.weights", prompt, "places.length", weight)
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
        """Write the sum (1, hidden) of the token vectors, each times its weight."""
        weighted = self.graph.op(f"{name}.weighted", "Mul", values, weights)
        return self.graph.op(f"{name}.sum", "ReduceSum", weighted, _token_axis(self.graph), keepdims=0)

    def average(self, name: str, values: str, weights: str, root: str = "Identity") -> str:
        """Write the weighted sum, divided by the sum of the weights or by the tokens' weight.

        `root` is the operator that is applied to the divisor.
        """
        total = self.total(name, values, weights)
        floor = self.graph.constant("smallest_sum", np.array(1e-9, np.float32))
        weight = self.weight or self.graph.op(f"{name}.weight", "ReduceSum", weights, keepdims=0)
        divisor = self.graph.op(f"{name}.divisor", root, self.graph.op(f"{name}.floored", "Max", weight, floor))
        return self.graph.op(name, "Div", total, divisor)


def _weighted_cls(places: _Places, tokens: str) -> str:
    """Write the vector of the first token that counts, or of the first token if none counts."""
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
    """Write the mean by weights that grow with the place in the text. The prompt's tokens have places, too."""
    weights = places.graph.op("weightedmean.weights", "Mul", places.places, places.weights)
    return places.average("pooled.weightedmean", tokens, weights)


def _weighted_lasttoken(places: _Places, tokens: str) -> str:
    """Write the vector of the last token, or zeros if that does not count."""
    return _lasttoken(places.graph, places.graph.op("lasttoken.counting", "Mul", tokens, places.weights))


WEIGHTED: Mapping[str, Callable[[_Places, str], str]] = {
    "cls": _weighted_cls,
    "max": _weighted_max,
    "mean": _weighted_mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _weightedmean,
    "lasttoken": _weighted_lasttoken,
}
"""The writer of each mode in modules.POOLING_MODES."""
