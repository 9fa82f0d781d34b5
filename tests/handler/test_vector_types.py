"""Small vectors: equal to the official library's, and each made of its own text alone."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handler.errors import Backend, Validation
from handler.service import Options, Service
from handler.vector_types import FLOAT32, TYPES, ModelTypes, encode_ranges, type_name
from tests.conftest import INT8, serve

REFERENCES = json.loads((Path(__file__).parent / "vector_types" / "references.json").read_bytes())
SMALL = [name for name in TYPES if name != FLOAT32.name]
DIMENSION = 16
NUMBERS = st.floats(-2, 2, width=32)
VECTORS = st.integers(1, 6).flatmap(lambda count: arrays(np.float32, (count, DIMENSION), elements=NUMBERS))
RANGES = arrays(np.int32, (2, DIMENSION), elements=st.integers(-1024, 1024)).map(
    lambda drawn: np.sort(drawn, axis=0).astype(np.float32) / 1024
)
"""Multiples of what the builder widens ranges to, some of them without a width."""
TEXTS = ["Today is a sunny day.", "It rained all morning.", "z", "Today is a sunny day."]


def model_types(ranges: np.ndarray) -> ModelTypes:
    """The types of a model with these ranges of its whole vectors."""
    size = ranges.shape[1]
    return ModelTypes(size, {str(size): encode_ranges(ranges)})


@pytest.mark.parametrize("name", SMALL)
def test_small_vectors_are_those_of_the_official_library(name: str) -> None:
    """Among them numbers at the ends of their ranges, outside of them, zeros, and a dimension without a width."""
    vectors, ranges = (np.array(REFERENCES[part], np.float32) for part in ("vectors", "ranges"))
    made = model_types(ranges).make(vectors, name)
    assert made.dtype == TYPES[name].number
    assert made.tolist() == REFERENCES[name]


@given(vectors=VECTORS, ranges=RANGES)
def test_a_byte_is_the_step_that_its_number_lies_in(vectors: np.ndarray, ranges: np.ndarray) -> None:
    """Inside of the range within a step; below it the first, above it the last: a byte never wraps around.

    Float32 rounds to one of two steps at a border, as the library does: a step beyond the range there is no doubt.
    """
    made = model_types(ranges).make(vectors, "uint8").astype(np.float64)
    least, largest = ranges.astype(np.float64)
    steps = (largest - least) / 255
    wide = steps > 1e-6
    inside = (vectors >= least) & (vectors <= largest) & wide
    back = least + made * steps
    assert np.all(np.abs(back - vectors)[inside] <= (steps * 1.01 + 1e-6)[np.nonzero(inside)[1]])
    assert np.all(made[(vectors < least - steps) & wide] == 0)
    assert np.all(made[(vectors > largest + steps) & wide] == 255)
    assert np.array_equal(model_types(ranges).make(vectors, "int8"), made - 128)


@given(vectors=VECTORS)
def test_a_bit_is_set_where_the_number_is_above_zero(vectors: np.ndarray) -> None:
    """In the order of the dimensions; the signed form is 128 less."""
    types = model_types(np.zeros((2, DIMENSION), np.float32))
    packed = types.make(vectors, "ubinary")
    assert np.array_equal(np.unpackbits(packed, axis=1).astype(bool), vectors > 0)
    assert np.array_equal(types.make(vectors, "binary").astype(np.int16) + 128, packed)


@pytest.mark.parametrize("name", TYPES)
@given(vectors=VECTORS, ranges=RANGES)
def test_a_small_vector_does_not_depend_on_its_neighbours(name: str, vectors: np.ndarray, ranges: np.ndarray) -> None:
    """Each row is what it is alone."""
    types = model_types(ranges)
    together = types.make(vectors, name)
    alone = [types.make(vectors[place : place + 1], name) for place in range(len(vectors))]
    assert np.concatenate(alone).tobytes() == together.tobytes()
    assert together[0].nbytes == TYPES[name].vector_bytes(DIMENSION)


@pytest.mark.parametrize(
    ("name", "dimensions"), [*((name, None) for name in SMALL), *((name, 64) for name in SMALL if not TYPES[name].needs_ranges)]
)
def test_a_small_vector_derives_from_the_cached_row_of_the_float32_one(name: str, dimensions: int | None) -> None:
    """No text is embedded again for another type; a hit gives the bytes of a miss."""
    service = serve(INT8)
    options = Options(dimensions=dimensions, output_dtype=name)
    missed = service.embed(TEXTS, options)
    floats = service.embed(TEXTS, Options(dimensions=dimensions))
    found = service.embed(TEXTS, options)
    assert (missed.hits, floats.hits, found.hits) == (0, 4, 4)
    assert missed.vectors.tobytes() == found.vectors.tobytes()
    expected = ModelTypes(384, service.manifest.ranges).make(floats.vectors, name)
    assert found.vectors.tobytes() == expected.tobytes()


@pytest.mark.parametrize("named", ["int8", "INT8", "float", "Float32", "ubinary"])
def test_a_type_is_named_in_any_case_and_float_is_float32(named: str) -> None:
    """Voyage, Cohere and Jina say float."""
    assert type_name(named, "output_dtype") == {"float": "float32"}.get(named.lower(), named.lower())


@pytest.mark.parametrize(
    ("name", "dimensions", "normalize", "sentence"),
    [
        ("binary", 12, True, "`output_dtype` binary puts 8 dimensions into a byte: their number must be divisible by 8. Given: 12"),
        (
            "int8",
            12,
            True,
            (
                "`output_dtype` int8 needs ranges, which this model has for 8 or 16 dimensions, not for 12. "
                "float32, binary and ubinary need none"
            ),
        ),
        (
            "uint8",
            None,
            False,
            (
                "`output_dtype` uint8 has ranges for vectors of length 1 only: set `normalize` to true. "
                "float32, binary and ubinary need none"
            ),
        ),
    ],
)
def test_a_type_that_cannot_be_made_is_refused_by_name(
    name: str,
    dimensions: int | None,
    *,
    normalize: bool,
    sentence: str,
) -> None:
    """With what it needs, and what needs nothing."""
    types = ModelTypes(16, {str(size): encode_ranges(np.zeros((2, size), np.float32)) for size in (8, 16)})
    with pytest.raises(Validation) as refused:
        types.check(name, dimensions, normalize=normalize)
    assert str(refused.value) == sentence


def test_a_model_without_ranges_refuses_int8_and_gives_the_rest() -> None:
    """Also as a deployment's own type: then at the start."""
    assert ModelTypes(12, {}).description == {"output_dtypes": ["float32"], "int8_dimensions": []}
    assert ModelTypes(16, {}).description["output_dtypes"] == ["float32", "binary", "ubinary"]
    with pytest.raises(Backend, match=r"^OUTPUT_DTYPE is int8, which this model cannot return: .* for no number of dimensions"):
        ModelTypes(16, {}, "int8")


@pytest.mark.parametrize(
    "ranges",
    [
        {"16": "not base64"},
        {"16": ""},
        {"16": encode_ranges(np.zeros((2, 8), np.float32))},
        {"16": encode_ranges(np.full((2, 16), np.nan, np.float32))},
        {"16": encode_ranges(np.stack([np.ones(16, np.float32), np.zeros(16, np.float32)]))},
        {"17": encode_ranges(np.zeros((2, 17), np.float32))},
        {"many": ""},
    ],
)
def test_ranges_that_cannot_be_used_are_refused_at_the_start(ranges: dict[str, str]) -> None:
    """Before a vector is made by them."""
    with pytest.raises(Backend, match=r"^manifest.json has no usable ranges for "):
        ModelTypes(16, ranges)


def test_a_deployment_s_type_is_that_of_requests_that_name_none(service: Service) -> None:
    """One that is named wins."""
    small = serve(INT8, OUTPUT_DTYPE="ubinary")
    floats: Any = service.embed(["a"], Options()).vectors
    assert small.embed(["a"], Options()).vectors.tobytes() == np.packbits(floats > 0).tobytes()
    assert small.embed(["a"], Options(output_dtype="float32")).vectors.tobytes() == floats.tobytes()
    assert base64.b64decode(service.manifest.ranges["384"])
