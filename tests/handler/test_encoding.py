"""Vectors to bytes."""

import ast
import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from handler.encoding import encode_vectors, is_deeper, shallow, to_json
from tests.conftest import ROOT

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
    """The bytes are little-endian."""
    rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in json.loads(encode_vectors(vectors, "base64"))]
    assert np.stack(rows).tobytes() == vectors.tobytes()


@given(vectors=FINITE, dimensions=st.integers(1, 8))
def test_a_slice_is_encoded_like_a_copy_of_it(vectors: np.ndarray, dimensions: int) -> None:
    """A cut vector lies in memory with gaps."""
    cut = vectors[:, :dimensions]
    assert encode_vectors(cut, "float") == encode_vectors(cut.copy(), "float")
    assert encode_vectors(cut, "base64") == encode_vectors(cut.copy(), "base64")


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.integers(2**64, 2**80) | st.text(st.characters())
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4)
)


def without_the_infinite(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON can hold it."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [without_the_infinite(inner) for inner in value]
        case dict():
            return {name: without_the_infinite(inner) for name, inner in value.items()}
    return value


@given(ANY_JSON)
def test_whatever_is_written_is_json_and_says_the_same(value: Any) -> None:  # noqa: ANN401 - JSON
    """Numbers that are not finite become null, next to a number over 64 bits as anywhere else: JSON has no NaN."""
    assert json.loads(to_json(value), parse_constant=pytest.fail) == without_the_infinite(value)


def test_a_vector_next_to_what_orjson_does_not_take_is_written_as_elsewhere() -> None:
    """The standard library writes it then."""
    vector = np.array([1.5, -0.1], np.float32)
    written = json.loads(to_json({"embedding": vector, "number": 2**70, "beside": [math.nan, -math.inf]}))
    assert written == {"embedding": [1.5, -0.1], "number": 2**70, "beside": [None, None]}


NOT_OF_RECORDS = {"telemetry", "runtime_extension"}
"""Modules that write nothing of what was sent."""


def test_the_standard_library_may_write_no_nan_anywhere() -> None:
    """Each call of json.dumps where records are read and written says so."""
    calls = [
        (path.name, node.lineno, {keyword.arg for keyword in node.keywords})
        for path in sorted((ROOT / "handler").rglob("*.py"))
        if path.parent.name in {"handler", "sources", "sinks", "pipeline", "functions"} and path.stem not in NOT_OF_RECORDS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "json.dumps"
    ]
    assert len(calls) >= 4
    assert [(name, line) for name, line, keywords in calls if "allow_nan" not in keywords] == []


@given(st.integers(0, 300), st.integers(1, 100))
def test_depth_is_counted_in_lists_and_objects(levels: int, most: int) -> None:
    """The innermost value is on none."""
    value: Any = "innermost"
    for number in range(levels):
        value = [value] if number % 2 else {"inner": value, "other": 1}
    assert is_deeper(value, most) == (levels > most)
    assert not is_deeper(shallow(value, most), most)
    assert (shallow(value, most) == value) == (levels <= most)


def test_a_depth_that_no_stack_holds_is_found_out() -> None:
    """A million levels."""
    value: Any = 1
    for _ in range(1_000_000):
        value = [value]
    assert is_deeper(value, 100)
    while isinstance(value, list):  # taken apart here, so that nothing recurses on the way out
        (value,) = value
