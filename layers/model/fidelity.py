"""Check that a built model's vectors or scores can be used, and measure how close they are to those of its float32 graph."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handler.vectors import Vectors
from layers.model.configuration import Unsupported
from layers.model.precision import Bounds

NEIGHBOURS = 10

type Scores = NDArray[np.float32]
type Wide = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The agreement of a model's vectors with reference vectors of the same passages."""

    passages: int
    mean_cosine: float
    minimum_cosine: float
    top_10_agreement: float

    @classmethod
    def of(cls, vectors: Vectors, reference: Vectors) -> Self:
        """Compare vectors (passages, dimension) row by row, and the nearest neighbours of each passage."""
        ours, theirs = _unit(vectors), _unit(reference)
        cosines = np.einsum("ij,ij->i", ours, theirs)
        agreement = np.mean([len(a & b) / NEIGHBOURS for a, b in zip(_neighbours(ours), _neighbours(theirs), strict=True)])
        return cls(len(vectors), *(round(float(value), 6) for value in (cosines.mean(), cosines.min(), agreement)))

    def shortfall(self, bounds: Bounds) -> str:
        """Return what is below the bounds of mean and minimum cosine, as a part of a sentence; "" if nothing is."""
        if self.mean_cosine >= bounds[0] and self.minimum_cosine >= bounds[1]:
            return ""
        return (
            f"mean cosine {self.mean_cosine:.6f} (at least {bounds[0]}), minimum {self.minimum_cosine:.6f} (at least {bounds[1]}). "
            "Set MIN_COSINE=mean,minimum to accept it, or build PRECISION=fp32"
        )

    def __str__(self) -> str:
        """Return one line for the builder's output."""
        return (
            f"cosine to fp32 over {self.passages} passages: mean {self.mean_cosine:.5f}, minimum {self.minimum_cosine:.5f}; "
            f"top-{NEIGHBOURS} agreement {self.top_10_agreement:.3f}"
        )


@dataclass(frozen=True, slots=True)
class ScoreFidelity:
    """The agreement of a cross-encoder's scores with reference scores of the same pairs.

    correlation: Pearson's, of all scores.
    rank_correlation: Spearman's, the mean over queries.
    top_10_agreement: the share of each query's ten best passages that are among its ten best in the reference.
    mean_difference, maximum_difference: of the scores before any activation.
    """

    pairs: int
    correlation: float
    rank_correlation: float
    top_10_agreement: float
    mean_difference: float
    maximum_difference: float

    @classmethod
    def of(cls, scores: Scores, reference: Scores, group: int) -> Self:
        """Compare scores (pairs); each `group` of successive pairs has the same query."""
        ours, theirs = scores.astype(np.float64), reference.astype(np.float64)
        parts = [slice(start, start + group) for start in range(0, len(ours), group)]
        ranks = [_correlation(_ranks(ours[part]), _ranks(theirs[part])) for part in parts]
        tops = [_shared(ours[part], theirs[part]) for part in parts]
        apart = np.abs(ours - theirs)
        figures = (_correlation(ours, theirs), np.mean(ranks), np.mean(tops), apart.mean(), apart.max())
        return cls(len(ours), *(round(float(value), 6) for value in figures))

    def shortfall(self, bounds: Bounds) -> str:
        """Return what is below the bounds of both correlations, as a part of a sentence; "" if nothing is."""
        if self.correlation >= bounds[0] and self.rank_correlation >= bounds[1]:
            return ""
        return (
            f"its scores correlate with those of fp32 by {self.correlation:.6f} (at least {bounds[0]}), their ranks by "
            f"{self.rank_correlation:.6f} (at least {bounds[1]}). Set MIN_COSINE=correlation,of-ranks to accept it, or build "
            "PRECISION=fp32"
        )

    def __str__(self) -> str:
        """Return one line for the builder's output."""
        return (
            f"scores of {self.pairs} pairs: correlation with fp32 {self.correlation:.5f}, of ranks {self.rank_correlation:.5f}; "
            f"top-{NEIGHBOURS} agreement {self.top_10_agreement:.3f}; difference {self.mean_difference:.5f} in the mean, "
            f"{self.maximum_difference:.5f} at most"
        )


def check_scores(scores: Scores, precision: str) -> None:
    """Check that the scores of different pairs differ. The cross-encoder refuses infinite ones.

    Raises:
        Unsupported: they are all the same.
    """
    if np.ptp(scores) <= SAME * np.abs(scores).max():
        msg = f"the {precision} model gives the same score for each of {len(scores)} pairs"
        raise Unsupported(msg)


def check_usable(vectors: Vectors, precision: str) -> None:
    """Check that vectors (passages, dimension) of different passages are not zero and differ. The encoder refuses infinite ones.

    Raises:
        Unsupported: they are zero, or all the same.
    """
    zero = ~vectors.any(axis=1)
    if zero.any():
        msg = f"the {precision} model gives a vector of zeros for {zero.sum()} of {len(vectors)} passages"
        raise Unsupported(msg)
    if np.ptp(vectors, axis=0).max() <= SAME * np.abs(vectors).max():
        msg = f"the {precision} model gives the same vector for each of {len(vectors)} passages"
        raise Unsupported(msg)


SAME = 1e-6
"""Vectors whose numbers differ by a smaller share of the largest one count as the same: rounding explains the difference."""


def _unit(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _neighbours(unit: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[set[int]]:
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    return [set(row) for row in np.argpartition(-similarities, NEIGHBOURS, axis=1)[:, :NEIGHBOURS].tolist()]


def _correlation(one: Wide, other: Wide) -> float:
    """Return Pearson's correlation; 1 for single numbers and for equal ones, between which nothing differs."""
    if len(one) == 1 or np.array_equal(one, other):
        return 1.0
    apart = one - one.mean(), other - other.mean()
    lengths = np.linalg.norm(apart[0]) * np.linalg.norm(apart[1])
    return float(apart[0] @ apart[1] / lengths) if lengths else 0.0


def _ranks(values: Wide) -> Wide:
    """Return the rank of each value, from 0; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Wide = (ends - (counts + 1) / 2)[places]
    return means


def _shared(ours: Wide, theirs: Wide) -> float:
    """Return the share of the best values' places that both have."""
    count = min(NEIGHBOURS, len(ours))
    return len({*np.argsort(-ours, kind="stable")[:count]} & {*np.argsort(-theirs, kind="stable")[:count]}) / count
