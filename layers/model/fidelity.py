"""Check that a built model's vectors can be used, and measure how close they are to those of its float32 graph."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from handler.vectors import Vectors
from layers.model.configuration import Unsupported

NEIGHBOURS = 10


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

    def __str__(self) -> str:
        """Return one line for the builder's output."""
        return (
            f"cosine to fp32 over {self.passages} passages: mean {self.mean_cosine:.5f}, minimum {self.minimum_cosine:.5f}; "
            f"top-{NEIGHBOURS} agreement {self.top_10_agreement:.3f}"
        )


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
