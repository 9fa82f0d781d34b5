"""Random weights that are the same everywhere, so that reference models are committed as names and shapes instead of numbers.

Imported by oracle.py, in an environment of its own, and by the tests: numpy and the standard library alone.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.3
"""Large enough for attention to be far from even, which a forgotten mask or bias would hide behind."""


def tensor(name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """The weights called `name`, in `shape`; those that scale a normalisation lie around 1.

    Exact in bfloat16, so that the same values can be stored as it, and an ONNX file of them compresses to half.
    """
    generator = np.random.RandomState(zlib.crc32(name.encode()))  # numpy promises that its stream never changes
    values = (SPREAD * generator.standard_normal(tuple(shape))).astype(np.float32)
    values += np.float32("norm" in name.lower() and name.endswith("weight"))
    return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
