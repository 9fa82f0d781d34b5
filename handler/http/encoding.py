"""Vectors to the bytes of a JSON answer."""

import base64

import numpy as np
import orjson

from handler.embedding.encoder import Vectors
from handler.parsing import EncodingFormat


def encode_vectors(vectors: Vectors, encoding_format: EncodingFormat) -> bytes:
    """An array of arrays of numbers, or an array of base64 strings of little-endian float32.

    orjson writes the shortest decimal that reads back as the same float32, always with a point or an exponent: about 12 bytes a
    number, half of what the standard library writes, and 30 times faster.
    """
    if encoding_format == "base64":
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        return orjson.dumps([base64.b64encode(row).decode("ascii") for row in rows])
    return orjson.dumps(np.ascontiguousarray(vectors), option=orjson.OPT_SERIALIZE_NUMPY)
