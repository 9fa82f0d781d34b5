"""Bytes of a small vector, and the share of float32's nearest passages that it finds, by type and dimensions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from events.search.scoring import RESTORE
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Manifest
from handler.finishing import finish
from handler.service import Options
from handler.vector_types import NO_RANGES, TYPES, ModelTypes, Ranges, encode_ranges
from handler.vectors import Vectors
from layers.model import ranges
from layers.model.corpus import passages
from layers.model.samples import CALIBRATION_PASSAGES

from .effort import Effort
from .machine import cores
from .models import INT8, ours, tokenization
from .tables import Table

SIZES = (32, 64, 128, 192, 256, 384)
NEIGHBOURS = 10
CANDIDATES = 4 * NEIGHBOURS
"""As many are found by the small vectors alone, then ordered anew."""
COMPARED = ("float32", "int8", "binary")
"""uint8 and ubinary are the same vectors in unsigned bytes."""

type Scores = NDArray[np.float32]


def tables(effort: Effort) -> Iterator[Table]:
    """One row a type and number of dimensions; then the recalls by dimensions, for the plot."""
    encoder = ours(INT8, cores())
    texts = list(dict.fromkeys(passages("scoring", effort.scored_passages)))
    pooled = encoder.encode([tokens.ids for tokens in tokenization().tokenize(texts, "right")])
    spans = _ranges(encoder)
    types = ModelTypes(pooled.shape[1], {str(size): encode_ranges(span) for size, span in spans.items()})
    wanted = _nearest(_dot(finish(pooled, Options(), normalize=True)))
    found = {(name, size): _recalls(pooled, size, name, types, spans[size], wanted) for name in COMPARED for size in SIZES}
    whole = TYPES["float32"].vector_bytes(pooled.shape[1])
    rows = [
        (name, size, TYPES[name].vector_bytes(size), whole / TYPES[name].vector_bytes(size), *found[name, size])
        for name in COMPARED
        for size in reversed(SIZES)
    ]
    yield Table(
        "Small vectors: bytes and recall",
        [
            f"each of {len(texts)} distinct passages asks for its {NEIGHBOURS} nearest of the others: the part of those that",
            "whole float32 vectors find, by small vectors on both sides, or rescored: the best",
            f"{CANDIDATES} of these ordered by the float32 query against the numbers that the small vectors stand for;",
            "uint8 is int8, and ubinary binary, in unsigned bytes; the model was not trained for fewer dimensions than 384",
        ],
        {"type": "s", "dimensions": "d", "bytes": "d", "smaller": ".0f", "recall": ".3f", "rescored": ".3f"},
        rows,
    )
    yield Table(
        PLOTTED,
        [f"the part of the {NEIGHBOURS} nearest that whole float32 vectors find"],
        {"dimensions": "d"} | dict.fromkeys(LINES, ".3f"),
        [(size, *(recall for name in COMPARED for recall in found[name, size][: 1 + (name != "float32")])) for size in SIZES],
    )


PLOTTED = "Small vectors: recall by dimensions"
LINES = ("float32", "int8", "int8 rescored", "binary", "binary rescored")


def _ranges(encoder: Encoder) -> dict[int, Ranges]:
    """The ranges that a builder would keep, had the model been trained for these sizes."""
    prompts = list(Manifest.read(INT8).prompts.values())
    measured = ranges.measure(encoder, tokenization(), passages("calibration", CALIBRATION_PASSAGES), prompts)
    return {size: ranges.range_of(finish(measured, Options(dimensions=size), normalize=True)) for size in SIZES}


def _recalls(
    pooled: Vectors, size: int, name: str, types: ModelTypes, span: Ranges, wanted: Sequence[set[int]]
) -> tuple[float, float]:
    """The recall of vectors of a type, alone and rescored."""
    floats = finish(pooled, Options(dimensions=size), normalize=True)
    made = types.make(floats, name)
    scores = COMPARISONS[name](made)
    candidates = _nearest(scores, CANDIDATES)
    rescored = np.full_like(scores, -np.inf)
    exact = floats @ RESTORE[name](made, span).T
    for place, chosen in enumerate(candidates):
        columns = list(chosen)
        rescored[place, columns] = exact[place, columns]
    return _recall(_nearest(scores), wanted), _recall(_nearest(rescored), wanted)


def _dot(vectors: NDArray[np.generic]) -> Scores:
    wide = vectors.astype(np.float32)
    scores: Scores = wide @ wide.T
    return scores


COMPARISONS: Mapping[str, Callable[[Any], Scores]] = {
    "float32": _dot,
    "int8": _dot,
    "binary": lambda packed: _dot(RESTORE["binary"](packed, NO_RANGES)),
}
"""Compare two vectors of a type by their dot product, which for bits orders as the Hamming distance does."""


def _nearest(scores: Scores, count: int = NEIGHBOURS) -> list[set[int]]:
    """The places of each row's largest scores, its own place left out; of equal ones the first."""
    others = scores.copy()
    np.fill_diagonal(others, -np.inf)
    return [set(row[:count].tolist()) for row in np.argsort(-others, axis=1, kind="stable")]


def _recall(found: Sequence[set[int]], wanted: Sequence[set[int]]) -> float:
    return float(np.mean([len(each & best) / NEIGHBOURS for each, best in zip(found, wanted, strict=True)]))
