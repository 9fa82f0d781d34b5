"""Whether a built model's vectors can be used at all, and how close they come to its own float32 self."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from handler.vectors import Vectors
from layers.model.configuration import Unsupported

NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of one model's vectors with the reference's over the same passages."""

    passages: int
    mean_cosine: float
    minimum_cosine: float
    top_10_agreement: float

    @classmethod
    def of(cls, vectors: Vectors, reference: Vectors) -> Self:
        """Compare vectors (passages, dimension) row by row, and the neighbours each passage finds among the others."""
        ours, theirs = _unit(vectors), _unit(reference)
        cosines = np.einsum("ij,ij->i", ours, theirs)
        agreement = np.mean([len(a & b) / NEIGHBOURS for a, b in zip(_neighbours(ours), _neighbours(theirs), strict=True)])
        return cls(len(vectors), *(round(float(value), 6) for value in (cosines.mean(), cosines.min(), agreement)))

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"cosine to fp32 over {self.passages} passages: mean {self.mean_cosine:.5f}, minimum {self.minimum_cosine:.5f}; "
            f"top-{NEIGHBOURS} agreement {self.top_10_agreement:.3f}"
        )


def check_usable(vectors: Vectors, precision: str) -> None:
    """See that vectors (passages, dimension) of different passages have a direction and differ; the encoder refuses infinite ones.

    Raises:
        Unsupported: they are no use to anyone.
    """
    zero = ~vectors.any(axis=1)
    if zero.any():
        msg = f"the {precision} model gives a vector of zeros for {zero.sum()} of {len(vectors)} passages"
        raise Unsupported(msg)
    if np.ptp(vectors, axis=0).max() <= SAME * np.abs(vectors).max():
        msg = f"the {precision} model gives the same vector for each of {len(vectors)} passages"
        raise Unsupported(msg)


SAME = 1e-6
"""Vectors that differ by less than this part of their largest number are one vector, computed in different orders."""


def _unit(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _neighbours(unit: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[set[int]]:
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    return [set(row) for row in np.argpartition(-similarities, NEIGHBOURS, axis=1)[:, :NEIGHBOURS].tolist()]
