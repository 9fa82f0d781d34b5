"""The types of vectors: float32, and the small types that are made of it. Every dialect and every sink uses the table TYPES.

A small vector is made of the finished float32 vector, row by row, as Sentence Transformers 6.2 makes it (`quantize_embeddings`):
it does not depend on other texts. The type says which numbers a vector has; the encoding (handler/vectors.py) says how they are
written. Each type can be written in each encoding.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.errors import Backend, Validation, shown
from handler.vectors import Vectors

type Ranges = NDArray[np.float32]
"""The least and the largest number of each dimension (2, dimensions)."""
type Small = NDArray[np.int8] | NDArray[np.uint8]

STEPS = 255
"""The steps between the least and the largest of the 256 numbers of a byte."""
BYTE_BITS = 8
SIGNED = 128
"""Subtracted from an unsigned byte to make it signed."""


def _uint8(vectors: Vectors, ranges: Ranges) -> NDArray[np.uint8]:
    """Return the step of its dimension's range in which each number is; numbers outside get the first or the last step."""
    starts = ranges[0]
    steps = (ranges[1] - starts) / np.float32(STEPS)
    scaled = np.floor((vectors - starts) / np.where(steps == 0, np.float32(1), steps))
    found: NDArray[np.uint8] = np.clip(scaled, 0, STEPS).astype(np.uint8)
    return found


def _ubinary(vectors: Vectors, _: Ranges) -> NDArray[np.uint8]:
    """Pack one bit for each dimension, set if the number is above 0; the first dimension is the highest bit of a byte."""
    return np.packbits(vectors > 0, axis=1)


def _signed(make: Callable[[Vectors, Ranges], NDArray[np.uint8]]) -> Callable[[Vectors, Ranges], NDArray[np.int8]]:
    """Return a function that makes the same bytes, each less 128."""
    return lambda vectors, ranges: (make(vectors, ranges).astype(np.int16) - SIGNED).astype(np.int8)


@dataclass(frozen=True, slots=True)
class VectorType:
    """A type of vectors.

    One number holds `dimensions` dimensions, and takes at most `json_bytes` bytes in JSON with its comma. `make` makes vectors of
    this type from finished float32 vectors and their ranges, which are empty unless the type `needs_ranges`.
    """

    name: str
    number: type[np.float32 | np.int8 | np.uint8]
    json_bytes: int
    make: Callable[[Vectors, Ranges], Vectors | Small]
    dimensions: int = 1
    needs_ranges: bool = False

    @property
    def number_bytes(self) -> int:
        """The bytes of one number."""
        return np.dtype(self.number).itemsize

    def numbers(self, dimensions: int) -> int:
        """Return the count of numbers in a vector of so many dimensions."""
        return -(-dimensions // self.dimensions)

    def vector_bytes(self, dimensions: int) -> int:
        """Return the bytes of a vector of so many dimensions."""
        return self.numbers(dimensions) * self.number_bytes


# A float32 takes at most 16 characters (-0.0000063184107), a signed byte 4, an unsigned one 3, each with a comma.
FLOAT32 = VectorType("float32", np.float32, 17, lambda vectors, _: vectors)
TYPES: Mapping[str, VectorType] = {
    kind.name: kind
    for kind in (
        FLOAT32,
        VectorType("int8", np.int8, 5, _signed(_uint8), needs_ranges=True),
        VectorType("uint8", np.uint8, 4, _uint8, needs_ranges=True),
        VectorType("binary", np.int8, 5, _signed(_ubinary), dimensions=BYTE_BITS),
        VectorType("ubinary", np.uint8, 4, _ubinary, dimensions=BYTE_BITS),
    )
}
"""By name; the default is the first."""
SYNONYMS = {"float": FLOAT32.name}
"""Other names of types, by which clients ask for them."""
OTHERS = "float32, binary and ubinary need none"
NO_RANGES: Ranges = np.empty((2, 0), np.float32)


def type_name(value: object, field: str) -> str:
    """Return the name of the type that a field names; upper and lower case are the same.

    Raises:
        Validation: there is no such type.
    """
    name = SYNONYMS.get(value.lower(), value.lower()) if isinstance(value, str) else ""
    if name not in TYPES:
        msg = f"`{field}` must be {' or '.join(f'`{known}`' for known in TYPES)}. Given: {shown(value)}"
        raise Validation(msg)
    return name


class ModelTypes:
    """The types of vectors that one model can return, with the ranges that it was built with."""

    def __init__(self, dimension: int, ranges: Mapping[str, str], default: str = FLOAT32.name) -> None:
        """Read the ranges of a manifest. `default` is the type of a request that names none.

        Raises:
            Backend: the ranges cannot be used, or the model has no vectors of the default type.
        """
        self._dimension = dimension
        self._ranges = {int(size): _decoded(size, content) for size, content in ranges.items() if _is_size(size, dimension)}
        self._default = default
        if reason := self.refusal(default, dimension, normalize=True):
            msg = f"OUTPUT_DTYPE is {default}, which this model cannot return: {reason}"
            raise Backend(msg)

    def check(self, name: str | None, dimensions: int | None, *, normalize: bool) -> None:
        """Refuse a type that cannot be made of vectors of so many dimensions.

        Raises:
            Validation: the type cannot be made; the sentence says what it needs.
        """
        if reason := self.refusal(name or self._default, dimensions or self._dimension, normalize=normalize):
            raise Validation(reason)

    def make(self, vectors: Vectors, name: str | None) -> Any:  # noqa: ANN401 - float32, or the small numbers of the type
        """Make vectors of a type from finished float32 vectors; `check` has accepted the type before."""
        return TYPES[name or self._default].make(vectors, self.ranges(vectors.shape[1]))

    def ranges(self, dimensions: int) -> Ranges:
        """Return the ranges for vectors of so many dimensions; empty ones if the model has none."""
        return self._ranges.get(dimensions, NO_RANGES)

    def refusal(self, name: str, dimensions: int, *, normalize: bool) -> str | None:
        """Return why a type cannot be made of vectors of so many dimensions; None if it can."""
        kind = TYPES[name]
        if dimensions % kind.dimensions:
            return (
                f"`output_dtype` {name} puts {kind.dimensions} dimensions into a byte: their number must be divisible by "
                f"{kind.dimensions}. Given: {dimensions}"
            )
        if not kind.needs_ranges:
            return None
        if dimensions not in self._ranges:
            sizes = " or ".join(map(str, sorted(self._ranges))) or "no number of"
            return (
                f"`output_dtype` {name} needs ranges, which this model has for {sizes} dimensions, not for {dimensions}. {OTHERS}"
            )
        if not normalize:
            return f"`output_dtype` {name} has ranges for vectors of length 1 only: set `normalize` to true. {OTHERS}"
        return None

    @property
    def description(self) -> dict[str, Any]:
        """The types of whole vectors, and the numbers of dimensions that int8 and uint8 vectors can have."""
        names = [name for name in TYPES if self.refusal(name, self._dimension, normalize=True) is None]
        return {"output_dtypes": names, "int8_dimensions": sorted(self._ranges)}


def encode_ranges(ranges: Ranges) -> str:
    """Write ranges as a manifest holds them: base64 of little-endian float32, all least numbers first."""
    return base64.b64encode(np.ascontiguousarray(ranges, "<f4")).decode("ascii")


def _decoded(size: str, content: str) -> Ranges:
    try:
        ranges = np.frombuffer(base64.b64decode(content, validate=True), "<f4").astype(np.float32).reshape(2, int(size))
    except (binascii.Error, ValueError):
        ranges = NO_RANGES
    if not (ranges.size and np.isfinite(ranges).all() and (ranges[0] <= ranges[1]).all()):
        raise _unusable(size)
    return ranges


def _is_size(size: str, dimension: int) -> bool:
    if not (size.isascii() and size.isdecimal() and 1 <= int(size) <= dimension):
        raise _unusable(size)
    return True


def _unusable(size: str) -> Backend:
    return Backend(f"manifest.json has no usable ranges for {size!r:.20} dimensions: build the model again with `make model`")
