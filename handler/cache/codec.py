"""Codecs: pooled vectors to rows of bytes and back.

The codec rounds every vector before it is returned, cached or not. So a hit, a miss and a deployment without a cache return the
same bytes. A row is a header (format, dimension, exponent, checksum), followed by the numbers.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handler.cache.key import Key
from handler.vectors import Vector, Vectors

HEADER = struct.Struct("<BHhI")
BITS = 15
"""The bits of a 16-bit number without its sign."""
LARGEST = np.float32(2**BITS - 1)
MAX_EXPONENT = 128
"""The largest exponent of a finite float32."""


class Codec(Protocol):
    """Converts vectors of one dimension to one form of rows, and back."""

    @property
    def version(self) -> str:
        """The name of the form, which is part of every key."""
        ...

    @property
    def row_bytes(self) -> int:
        """The number of bytes of every row."""
        ...

    def rounded(self, vectors: Vectors) -> Vectors:
        """Return the vectors that decoding their rows would return. Rounding them again changes nothing."""
        ...

    def encode(self, key: Key, vector: Vector) -> bytes:
        """Return the row of a rounded vector."""
        ...

    def decode(self, key: Key, row: bytes) -> Vector | None:
        """Return the vector of a row; None if the row is damaged, has another form or dimension, or belongs to another key."""
        ...


@dataclass(frozen=True, slots=True)
class Scaled16:
    """16 bits for each number and a scale for each row: 384 numbers and all attributes fit into one write unit of DynamoDB (1 KB).

    The scale is a power of two, which makes scaling exact. So rounding a rounded vector changes no bit, on any machine.
    """

    dimension: int
    version: str = "scaled16/1"
    format: int = 1

    @property
    def row_bytes(self) -> int:
        """The number of bytes of every row."""
        return HEADER.size + 2 * self.dimension

    def rounded(self, vectors: Vectors) -> Vectors:
        """Round each vector to steps of 2^-15 times the power of two above its largest number."""
        numbers, exponents = _scaled(vectors)
        return np.ldexp(numbers, exponents - BITS)

    def encode(self, key: Key, vector: Vector) -> bytes:
        """Return the row of a rounded vector."""
        numbers, exponents = _scaled(vector[np.newaxis])
        return _row(key, self.format, int(exponents[0, 0]), numbers[0].astype("<i2"))

    def decode(self, key: Key, row: bytes) -> Vector | None:
        """Return the vector of a row, or None."""
        exponent = _exponent(key, row, self)
        if exponent is None or exponent > MAX_EXPONENT:
            return None
        return np.ldexp(np.frombuffer(row, "<i2", offset=HEADER.size).astype(np.float32), exponent - BITS)


@dataclass(frozen=True, slots=True)
class Exact32:
    """32 bits for each number: no vector changes."""

    dimension: int
    version: str = "exact32/1"
    format: int = 2

    @property
    def row_bytes(self) -> int:
        """The number of bytes of every row."""
        return HEADER.size + 4 * self.dimension

    def rounded(self, vectors: Vectors) -> Vectors:
        """Return the vectors unchanged."""
        return vectors

    def encode(self, key: Key, vector: Vector) -> bytes:
        """Return the row of a vector."""
        return _row(key, self.format, 0, vector.astype("<f4"))

    def decode(self, key: Key, row: bytes) -> Vector | None:
        """Return the vector of a row, or None."""
        if _exponent(key, row, self) is None:
            return None
        vector = np.frombuffer(row, "<f4", offset=HEADER.size).astype(np.float32)
        return vector if np.isfinite(vector).all() else None


CODECS: Mapping[str, Callable[[int], Codec]] = {"scaled16": Scaled16, "exact32": Exact32}
"""Codecs for a dimension, by the names that a manifest uses (handler/embedding/manifest.py, CodecName)."""


def _scaled(vectors: Vectors) -> tuple[Vectors, np.ndarray[tuple[int, int], np.dtype[np.int32]]]:
    """Return the vectors as whole numbers of 16 bits, still of type float32, and the exponent of each vector."""
    _, exponents = np.frexp(np.abs(vectors).max(axis=1, keepdims=True))
    numbers = np.rint(np.ldexp(vectors, BITS - exponents))
    # Only the largest number can round up to 2^15, which does not fit. Adding 0 removes the sign of a negative zero.
    return np.clip(numbers, -LARGEST, LARGEST) + np.float32(0), exponents


def _row(key: Key, form: int, exponent: int, numbers: np.ndarray[tuple[int]]) -> bytes:
    content = numbers.tobytes()
    return HEADER.pack(form, len(numbers), exponent, _checksum(key, form, exponent, content)) + content


def _exponent(key: Key, row: bytes, codec: Scaled16 | Exact32) -> int | None:
    """Return the exponent in the header of a row; None if the row is damaged or does not belong to this codec and key."""
    if len(row) != codec.row_bytes:
        return None
    form, dimension, exponent, checksum = HEADER.unpack_from(row)
    expected = (codec.format, codec.dimension, _checksum(key, form, exponent, row[HEADER.size :]))
    return exponent if (form, dimension, checksum) == expected else None


def _checksum(key: Key, form: int, exponent: int, numbers: bytes) -> int:
    """Return the checksum over the key and the row, so that a row stored under another key is recognised as damaged."""
    return zlib.crc32(numbers, zlib.crc32(key + struct.pack("<Bh", form, exponent)))
