"""Vectors and records to the bytes of a response or a file, and upper bounds for the bytes of vectors."""

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from handler.parsing import EmbeddingRequest
from handler.service import Service
from handler.vector_types import FLOAT32, TYPES, VectorType
from handler.vectors import EncodingFormat

NUMBER_BYTES = FLOAT32.json_bytes
"""The most that orjson writes for a finite float32 and a comma."""
ROW_BYTES = 16
"""Bytes of the brackets or quotes around a row, a comma, and the backslashes that Lambda's envelope puts before quotes."""


def encode_vectors(vectors: NDArray[Any], encoding_format: EncodingFormat) -> bytes:
    """Encode vectors as an array of arrays of numbers, or as an array of base64 strings of each vector's little-endian bytes.

    orjson writes the shortest decimal that reads back as the same float32, always with a point or an exponent: about 12 bytes a
    number, half of what the standard library writes, and 30 times faster.
    """
    if encoding_format == "base64":
        return orjson.dumps(base64_rows(vectors))
    return orjson.dumps(np.ascontiguousarray(vectors), option=orjson.OPT_SERIALIZE_NUMPY)


def encode_nested(vectors: list[NDArray[np.float32]]) -> bytes:
    """Encode the vectors (tokens, hidden) of texts of different lengths as an array of arrays of arrays of numbers."""
    return orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY)


def base64_rows(vectors: NDArray[Any]) -> list[str]:
    """Encode each vector's little-endian numbers as base64."""
    return [base64.b64encode(row).decode("ascii") for row in to_little_endian(vectors)]


def to_little_endian(vectors: NDArray[Any]) -> NDArray[Any]:
    """Return the same numbers in one block of memory, in the byte order that every reader expects."""
    return np.ascontiguousarray(vectors, vectors.dtype.newbyteorder("<"))


def largest_row(request: EmbeddingRequest, service: Service) -> int:
    """Return the most bytes that one vector of a request takes in a response."""
    options = request.options
    kind = TYPES[options.output_dtype or service.settings.output_dtype]
    return row_bytes(options.dimensions or service.manifest.dimension, request.encoding_format, kind)


def row_bytes(dimension: int, encoding_format: EncodingFormat, kind: VectorType = FLOAT32) -> int:
    """Return the most bytes that one vector of a type takes in a response, whatever its numbers.

    A compressed response takes no more: numbers shrink by more than the third that base64 adds to them, and base64 strings are
    counted with that third.
    """
    if encoding_format == "base64":
        return (kind.vector_bytes(dimension) + 2) // 3 * 4 * 4 // 3 + ROW_BYTES
    return kind.numbers(dimension) * kind.json_bytes + ROW_BYTES


def text_bytes(text: str) -> int:
    """Return the bytes that a text takes in a response, with the backslashes of Lambda's envelope."""
    return len(orjson.dumps(orjson.dumps(text).decode()))


MOST_LEVELS = 100
"""The most levels of nested lists and objects that a pipeline writes. The standard library raises after some thousand levels."""


def to_json(value: object) -> bytes:
    """Write compact JSON, with the numbers of vectors in the shortest form that reads back as the same float32.

    A number that is not finite becomes null. The standard library writes values that orjson refuses: half of a surrogate pair,
    numbers over 64 bits, nesting of 255 levels.

    Raises:
        RecursionError: `value` is nested some thousand levels deep.
    """
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(finite(value), default=_plain, separators=(",", ":"), allow_nan=False).encode()


def finite(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace each number that is not finite with null, as orjson does: JSON has no word for NaN or infinity."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {name: finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
    return value


def is_deeper(value: object, most: int) -> bool:
    """Return whether lists and objects are nested more than `most` levels deep. It needs no more stack for a deep value."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def shallow(value: Any, most: int) -> Any:  # noqa: ANN401 - JSON
    """Replace each list or object that is nested in `most` others with a note."""
    match value:
        case Mapping():
            return {name: shallow(inner, most - 1) for name, inner in value.items()} if most else LEFT_OUT
        case list() | tuple():
            return [shallow(inner, most - 1) for inner in value] if most else LEFT_OUT
    return value


LEFT_OUT = "(left out: nested too deep)"


def _inside(value: object) -> Iterable[object]:
    match value:
        case Mapping():
            return value.values()
        case list() | tuple():
            return value
    return ()


def _plain(value: object) -> object:
    """Convert a value that JSON has no form for."""
    if isinstance(value, np.ndarray):
        return orjson.loads(orjson.dumps(np.ascontiguousarray(value), option=orjson.OPT_SERIALIZE_NUMPY))
    return dict(value) if isinstance(value, Mapping) else str(value)
