"""Score vectors of any type against a query, and keep the best."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.finishing import NORM_FLOOR
from handler.vector_types import SIGNED, STEPS, Ranges
from handler.vectors import Vectors

type Scores = NDArray[np.float32]
type Places = NDArray[np.int64]
"""Where records are in their file: a larger place is later."""

BLOCK = 512
"""The vectors that are scored at once: 0.8 MB of float32 for 384 dimensions, which the second cache of a processor holds."""


# --- The float32 numbers that vectors of a type stand for ---------------------------------------------------


def _steps(middle: float) -> Callable[[NDArray[Any], Ranges], Vectors]:
    """Return a function that gives each byte the middle of its step; `middle` is that of the byte 0, counted in steps."""

    def restore(numbers: NDArray[Any], ranges: Ranges) -> Vectors:
        step = (ranges[1] - ranges[0]) / np.float32(STEPS)
        restored: Vectors = numbers.astype(np.float32)
        restored *= step
        restored += ranges[0] + np.float32(middle) * step
        return restored

    return restore


def _bits(numbers: NDArray[Any]) -> Vectors:
    """Return 1 for each bit that is set, and -1 for the others."""
    restored: Vectors = np.unpackbits(numbers, axis=1).astype(np.float32)
    restored *= 2
    restored -= 1
    return restored


RESTORE: Mapping[str, Callable[[NDArray[Any], Ranges], Vectors]] = {
    "float32": lambda numbers, _: numbers,
    "int8": _steps(SIGNED + 0.5),
    "uint8": _steps(0.5),
    "binary": lambda numbers, _: _bits(numbers.view(np.uint8) ^ np.uint8(SIGNED)),
    "ubinary": lambda numbers, _: _bits(numbers),
}
"""By the name of the type."""


# --- Scores -------------------------------------------------------------------------------------------------


def _norms(vectors: Vectors) -> Scores:
    norms: Scores = np.sqrt(np.vecdot(vectors, vectors))
    return np.maximum(norms, np.float32(NORM_FLOOR))


SIMILARITIES: Mapping[str, Callable[[Vectors, Vectors], Scores]] = {
    "cosine": lambda vectors, query: np.vecdot(vectors, query) / (_norms(vectors) * _norms(query)),
    "dot": np.vecdot,
    "euclidean": lambda vectors, query: -np.sqrt(np.square(vectors - query).sum(axis=1)),
    "manhattan": lambda vectors, query: -np.abs(vectors - query).sum(axis=1),
}
"""By the name of a model's similarity. Distances are negative, so that a larger score is always a better one.

Each score depends on its own vector only, to the last bit: the same vector has the same score at every place of a file.
"""


class Scorer:
    """Scores vectors of one type against one query."""

    def __init__(self, query: Vectors, similarity: str, type_name: str, ranges: Ranges) -> None:
        """Compare with a float32 query by the model's similarity. `ranges` are those of the type, if it needs them."""
        self._query = query
        self._similarity = SIMILARITIES[similarity]
        self._restore = RESTORE[type_name]
        self._ranges = ranges

    def score(self, numbers: NDArray[Any]) -> Scores:
        """Return one score for each row of numbers."""
        scores = np.empty(len(numbers), np.float32)
        for start in range(0, len(numbers), BLOCK):
            block = slice(start, start + BLOCK)
            scores[block] = self._similarity(self._restore(numbers[block], self._ranges), self._query)
        return scores


class Best:
    """The best of all scores so far, with their places: the best first, of equal ones the first in the file."""

    def __init__(self, count: int) -> None:
        """Keep as many as `count`."""
        self._count = count
        self.scores: Scores = np.empty(0, np.float32)
        self.places: Places = np.empty(0, np.int64)

    def add(self, scores: Scores, places: Places) -> None:
        """Take in more scores. Those that are not a number are left out."""
        least = self.scores[-1] if len(self.scores) == self._count else np.float32(-np.inf)
        near = np.flatnonzero(scores >= least)
        if not near.size:
            return
        scores, places = np.concatenate([self.scores, scores[near]]), np.concatenate([self.places, places[near]])
        order = np.lexsort((places, -scores))[: self._count]
        self.scores, self.places = scores[order], places[order]
