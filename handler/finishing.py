"""The last steps from pooled vectors to those that are sent: fewer dimensions, and the length 1."""

import numpy as np

from handler.service import Options
from handler.vectors import Vectors

NORM_FLOOR = 1e-12
"""A vector of zeros stays one: torch.nn.functional.normalize has the same floor as `eps`."""


def finish(vectors: Vectors, options: Options, *, normalize: bool) -> Vectors:
    """Keep the dimensions asked for, then bring each vector to the length 1 if asked for, or if the model does and none is said."""
    if options.dimensions is not None:
        vectors = vectors[:, : options.dimensions]
    if normalize if options.normalize is None else options.normalize:
        # In float64 and row by row, so that the last bits of a row depend on that row alone.
        norms = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
        vectors = (vectors / np.maximum(norms, NORM_FLOOR)).astype(np.float32)
    return vectors
