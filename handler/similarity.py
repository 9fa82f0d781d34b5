"""Similarity of vectors: the functions that compare them, by their names in Sentence Transformers.

Law: knows vectors and options, nothing of HTTP.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from handler.embedding.manifest import Manifest
from handler.service import Options
from handler.vector_types import FLOAT32
from handler.vectors import Vectors

FUNCTIONS: dict[str, Callable[[Vectors, Vectors], Vectors]] = {
    "cosine": lambda source, others: others @ source,  # of unit vectors
    "dot": lambda source, others: others @ source,
    "euclidean": lambda source, others: -np.sqrt(np.square(others - source).sum(axis=1)),
    "manhattan": lambda source, others: -np.abs(others - source).sum(axis=1),
}
"""By their names in Sentence Transformers: from the vectors of one text (dimension) and of others (n, dimension) to numbers (n).

Distances are negative, so that a larger number always means more similar.
"""


def comparable(options: Options, manifest: Manifest) -> Options:
    """Return the options with which the model's similarity function compares vectors."""
    return replace(options, normalize=manifest.similarity == "cosine", output_dtype=FLOAT32.name)
