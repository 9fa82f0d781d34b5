"""Vectors to the bytes of an answer, and the most bytes they can take."""

import base64

import numpy as np
import orjson
from numpy.typing import NDArray

from handler.parsing import EncodingFormat

NUMBER_BYTES = 17
"""The most that orjson writes for a finite float32 (16, as in -0.0000063184107) and a comma."""
ROW_BYTES = 16
"""The brackets or quotes around a row, a comma, and the backslashes that Lambda's envelope puts before quotes."""


def encode_vectors(vectors: NDArray[np.float32], encoding_format: EncodingFormat) -> bytes:
    """An array of arrays of numbers, or an array of base64 strings of little-endian float32.

    orjson writes the shortest decimal that reads back as the same float32, always with a point or an exponent: about 12 bytes a
    number, half of what the standard library writes, and 30 times faster.
    """
    if encoding_format == "base64":
        return orjson.dumps(base64_rows(vectors))
    return orjson.dumps(np.ascontiguousarray(vectors), option=orjson.OPT_SERIALIZE_NUMPY)


def encode_nested(vectors: list[NDArray[np.float32]]) -> bytes:
    """An array of arrays of arrays of numbers: vectors (tokens, hidden) of texts of different lengths."""
    return orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY)


def base64_rows(vectors: NDArray[np.float32]) -> list[str]:
    """Each vector's little-endian float32 in base64."""
    return [base64.b64encode(row).decode("ascii") for row in np.ascontiguousarray(vectors, dtype="<f4")]


def row_bytes(dimension: int, encoding_format: EncodingFormat) -> int:
    """The most bytes that one vector takes in an answer, whatever its numbers.

    Compressed answers take no more: numbers shrink by more than the third that base64 adds to them, and base64 strings are
    counted with that third.
    """
    if encoding_format == "base64":
        return (dimension * 4 + 2) // 3 * 4 * 4 // 3 + ROW_BYTES
    return dimension * NUMBER_BYTES + ROW_BYTES
