"""The last steps from pooled vectors to the vectors of a response: keep the requested dimensions, and normalize."""

import numpy as np

from handler.service import Options
from handler.vectors import Vectors

NORM_FLOOR = 1e-12
"""The smallest divisor, so that a vector of zeros stays one. torch.nn.functional.normalize has the same floor as `eps`."""


def finish(vectors: Vectors, options: Options, *, normalize: bool) -> Vectors:
    """Keep the requested dimensions, then scale each vector to the length 1 unless the request or the model excludes that.

    `normalize` is the model's own default. It decides if the request has no such option.
    """
    if options.dimensions is not None:
        vectors = vectors[:, : options.dimensions]
    if normalize if options.normalize is None else options.normalize:
        # In float64 and row by row, so that the last bits of a row depend on that row alone.
        norms = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
        vectors = (vectors / np.maximum(norms, NORM_FLOOR)).astype(np.float32)
    return vectors
