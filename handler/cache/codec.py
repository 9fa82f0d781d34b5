"""Pooled vectors to rows of bytes and back.

Every vector that is answered has passed the codec (`rounded`), whether it was cached or not, so that a hit, a miss and a deployment
without a cache answer the same bytes. A row is a header (format, dimension, exponent, checksum) and the numbers.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handler.cache.key import Key

type Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
type Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]

HEADER = struct.Struct("<BHhI")
BITS = 15
"""Of a 16-bit number, beside its sign."""
LARGEST = np.float32(2**BITS - 1)
MAX_EXPONENT = 128
"""Of a finite float32."""


class Codec(Protocol):
    """One form of row for vectors of one dimension."""

    @property
    def version(self) -> str:
        """Names the form; part of every key."""
        ...

    @property
    def row_bytes(self) -> int:
        """The length of every row."""
        ...

    def rounded(self, vectors: Vectors) -> Vectors:
        """The vectors as their rows would give them back; rounding again changes nothing."""
        ...

    def encode(self, key: Key, vector: Vector) -> bytes:
        """The row of a rounded vector."""
        ...

    def decode(self, key: Key, row: bytes) -> Vector | None:
        """The vector of a row; None if the row is damaged, of another form or dimension, or another key's."""
        ...


@dataclass(frozen=True, slots=True)
class Scaled16:
    """16 bits a number and a scale for each row: 384 numbers and all attributes fit one write unit of DynamoDB (1 KB).

    The scale is a power of two, so that scaling is exact: rounding what is rounded changes no bit, on any machine.
    """

    dimension: int
    version: str = "scaled16/1"
    format: int = 1

    @property
    def row_bytes(self) -> int:
        """The length of every row."""
        return HEADER.size + 2 * self.dimension

    def rounded(self, vectors: Vectors) -> Vectors:
        """The vectors in steps of 2^-15 of the power of two above their largest number."""
        numbers, exponents = _scaled(vectors)
        return np.ldexp(numbers, exponents - BITS)

    def encode(self, key: Key, vector: Vector) -> bytes:
        """The row of a rounded vector."""
        numbers, exponents = _scaled(vector[np.newaxis])
        return _row(key, self.format, int(exponents[0, 0]), numbers[0].astype("<i2"))

    def decode(self, key: Key, row: bytes) -> Vector | None:
        """The vector of a row, or None."""
        exponent = _exponent(key, row, self)
        if exponent is None or exponent > MAX_EXPONENT:
            return None
        return np.ldexp(np.frombuffer(row, "<i2", offset=HEADER.size).astype(np.float32), exponent - BITS)


@dataclass(frozen=True, slots=True)
class Exact32:
    """32 bits a number: for a model whose vectors are not to change at all."""

    dimension: int
    version: str = "exact32/1"
    format: int = 2

    @property
    def row_bytes(self) -> int:
        """The length of every row."""
        return HEADER.size + 4 * self.dimension

    def rounded(self, vectors: Vectors) -> Vectors:
        """The vectors themselves."""
        return vectors

    def encode(self, key: Key, vector: Vector) -> bytes:
        """The row of a vector."""
        return _row(key, self.format, 0, vector.astype("<f4"))

    def decode(self, key: Key, row: bytes) -> Vector | None:
        """The vector of a row, or None."""
        if _exponent(key, row, self) is None:
            return None
        vector = np.frombuffer(row, "<f4", offset=HEADER.size).astype(np.float32)
        return vector if np.isfinite(vector).all() else None


def _scaled(vectors: Vectors) -> tuple[Vectors, np.ndarray[tuple[int, int], np.dtype[np.int32]]]:
    """Whole numbers of 16 bits, still as float32, and each row's exponent."""
    _, exponents = np.frexp(np.abs(vectors).max(axis=1, keepdims=True))
    numbers = np.rint(np.ldexp(vectors, BITS - exponents))
    # Only the largest can round up to 2^15, which 16 bits do not hold; and they do not hold a zero's sign.
    return np.clip(numbers, -LARGEST, LARGEST) + np.float32(0), exponents


def _row(key: Key, form: int, exponent: int, numbers: np.ndarray[tuple[int]]) -> bytes:
    content = numbers.tobytes()
    return HEADER.pack(form, len(numbers), exponent, _checksum(key, form, exponent, content)) + content


def _exponent(key: Key, row: bytes, codec: Scaled16 | Exact32) -> int | None:
    """The exponent in the header of a row that is whole and what it should be."""
    if len(row) != codec.row_bytes:
        return None
    form, dimension, exponent, checksum = HEADER.unpack_from(row)
    expected = (codec.format, codec.dimension, _checksum(key, form, exponent, row[HEADER.size :]))
    return exponent if (form, dimension, checksum) == expected else None


def _checksum(key: Key, form: int, exponent: int, numbers: bytes) -> int:
    """Over the key too: a row that stands under another key is none."""
    return zlib.crc32(numbers, zlib.crc32(key + struct.pack("<Bh", form, exponent)))
