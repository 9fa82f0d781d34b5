"""Make random weights that are the same everywhere, so that reference models are committed as names and shapes, not numbers.

The tests and the oracle package, which has an environment of its own, import it. It needs only numpy and the standard library.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.3
"""The standard deviation. It is large enough for uneven attention: with even attention, a missing bias would go unnoticed."""


def tensor(name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the weights called `name`, in `shape`. Those that scale a normalization are around 1.

    They are exact in bfloat16, so that they can be stored as bfloat16, and an ONNX file of them compresses to half.
    """
    generator = np.random.RandomState(zlib.crc32(name.encode()))  # numpy promises that its stream never changes
    values = (SPREAD * generator.standard_normal(tuple(shape))).astype(np.float32)
    values += np.float32(("norm" in name.lower() or "_ln." in name) and name.endswith("weight"))
    return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
