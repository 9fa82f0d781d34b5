"""Make random weights that are the same everywhere, so that reference models are committed as names and shapes, not numbers.

The tests and the oracle package, which has an environment of its own, import it. It needs only numpy and the standard library.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
SPREAD = 0.3
"""The standard deviation. It is large enough for uneven attention: with even attention, a missing bias would go unnoticed."""


def tensor(name: str, shape: Sequence[int], kind: Any = np.float32) -> NDArray[Any]:  # noqa: ANN401 - a type of numbers
    """Return the weights called `name`, in `shape`, as numbers of a type. Those that scale a normalization are around 1.

    They are exact in bfloat16, so that they can be stored as bfloat16, and an ONNX file of them compresses to half. Those
    of int8 fill its range.
    """
    generator = np.random.RandomState(zlib.crc32(name.encode()))  # numpy promises that its stream never changes
    values = (SPREAD * generator.standard_normal(tuple(shape))).astype(np.float32)
    values += np.float32(("norm" in name.lower() or "_ln." in name) and name.endswith("weight"))
    values = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.clip(np.rint(values * LARGEST), -LARGEST, LARGEST).astype(kind) if kind is np.int8 else values.astype(kind)


def places(name: str, count: int, rows: int) -> NDArray[np.int64]:
    """Return for each of `count` tokens the row, of `rows`, that it has."""
    return np.random.RandomState(zlib.crc32(name.encode())).randint(0, rows, count).astype(np.int64)
