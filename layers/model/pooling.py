"""Pooling as a graph: the vectors of a text's tokens to one, by each of Sentence Transformers' modes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from layers.model.graph import Graph
from layers.model.modules import Pooling
from layers.model.precision import Precision

PROMPT_TOKENS = "prompt_tokens"
"""The input of a model that leaves its prompt out of the pool: how many of the first tokens are the prompt's."""


def pooled(graph: Graph, tokens: str, precision: Precision, pooling: Pooling, weight: str = "") -> list[str]:
    """Write the result (texts, hidden) of each mode over the token vectors (texts, tokens, hidden); return their names.

    `weight` (texts, 1) is what means are divided by where the tokens have weights of their own, or "".
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
    weight: str

    @classmethod
    def write(cls, graph: Graph, tokens: str, pooling: Pooling, weight: str) -> "_Places":
        """Write them once for all modes of a graph: the same names are the same values."""
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
        """The sum (1, hidden) of the token vectors by weights."""
        weighted = self.graph.op(f"{name}.weighted", "Mul", values, weights)
        return self.graph.op(f"{name}.sum", "ReduceSum", weighted, _token_axis(self.graph), keepdims=0)

    def average(self, name: str, values: str, weights: str, root: str = "Identity") -> str:
        """Write the sum by weights over the weights' own sum or the tokens' weight, or over what `root` makes of that."""
        total = self.total(name, values, weights)
        floor = self.graph.constant("smallest_sum", np.array(1e-9, np.float32))
        weight = self.weight or self.graph.op(f"{name}.weight", "ReduceSum", weights, keepdims=0)
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
