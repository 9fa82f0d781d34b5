"""Vectors to bytes."""

import base64
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from handler.encoding import encode_vectors

FINITE = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@given(vectors=FINITE)
def test_every_float32_survives_the_way_through_json(vectors: np.ndarray) -> None:
    """To the last bit, and never as an integer."""
    encoded = encode_vectors(vectors, "float")
    decoded = np.array(json.loads(encoded), dtype=np.float64)
    assert decoded.astype(np.float32).tobytes() == vectors.tobytes()
    numbers = encoded.decode().replace("[", "").replace("]", "").split(",")
    assert all("." in number or "e" in number for number in numbers)


@given(vectors=FINITE)
def test_every_float32_survives_the_way_through_base64(vectors: np.ndarray) -> None:
    """As little-endian bytes."""
    rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in json.loads(encode_vectors(vectors, "base64"))]
    assert np.stack(rows).tobytes() == vectors.tobytes()


@given(vectors=FINITE, dimensions=st.integers(1, 8))
def test_a_slice_is_encoded_like_a_copy_of_it(vectors: np.ndarray, dimensions: int) -> None:
    """A cut vector lies in memory with gaps."""
    cut = vectors[:, :dimensions]
    assert encode_vectors(cut, "float") == encode_vectors(cut.copy(), "float")
    assert encode_vectors(cut, "base64") == encode_vectors(cut.copy(), "base64")
