"""A codec rounds vectors, writes rows, and recognises rows that are damaged or foreign."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from handler.cache.codec import HEADER, Exact32, Scaled16
from handler.cache.cost import ATTRIBUTES_BYTES, WRITE_UNIT_BYTES
from handler.service import Options
from layers.model.corpus import passages
from tests.conftest import FP32, INT8, serve

DIMENSION = 8
KEY, OTHER = b"k" * 32, b"o" * 32
CODECS: list[Scaled16 | Exact32] = [Scaled16(DIMENSION), Exact32(DIMENSION)]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = arrays.arrays(np.float32, (3, DIMENSION), elements=FLOATS)

codecs = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.version)


@codecs
@given(vectors=VECTORS)
def test_a_rounded_vector_is_decoded_from_its_row_bit_by_bit(codec: Scaled16 | Exact32, vectors: np.ndarray) -> None:
    """The numbers may be any of float32, from the smallest to the largest."""
    for vector in codec.rounded(vectors):
        decoded = codec.decode(KEY, codec.encode(KEY, vector))
        assert decoded is not None
        assert decoded.tobytes() == vector.tobytes()


@codecs
@given(vectors=VECTORS)
def test_rounding_again_changes_nothing_and_no_row_depends_on_another(codec: Scaled16 | Exact32, vectors: np.ndarray) -> None:
    """A vector may be rounded several times, together with any other vectors."""
    rounded = codec.rounded(vectors)
    assert rounded.dtype == np.float32
    assert codec.rounded(rounded).tobytes() == rounded.tobytes()
    assert codec.rounded(vectors[1:2]).tobytes() == rounded[1:2].tobytes()


@given(vectors=VECTORS)
def test_sixteen_bits_are_off_by_a_32768th_of_the_largest_number_at_most(vectors: np.ndarray) -> None:
    """It is half a step, or one step for the largest numbers. A step is 2^-15 of the power of two above the largest number."""
    error = np.abs(Scaled16(DIMENSION).rounded(vectors).astype(np.float64) - vectors)
    largest = np.abs(vectors.astype(np.float64)).max(axis=1, keepdims=True)
    smallest_step = 2.0**-149
    assert (error <= np.maximum(2 * largest / 2**15, smallest_step)).all()


@codecs
@given(vectors=VECTORS, place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_row_with_a_flipped_bit_is_refused(codec: Scaled16 | Exact32, vectors: np.ndarray, place: int, bit: int) -> None:
    """The checksum covers the header and the numbers."""
    row = bytearray(codec.encode(KEY, codec.rounded(vectors)[0]))
    row[place % len(row)] ^= 1 << bit
    assert codec.decode(KEY, bytes(row)) is None


@codecs
@given(row=st.binary(max_size=60))
def test_foreign_bytes_are_refused(codec: Scaled16 | Exact32, row: bytes) -> None:
    """They may have any length."""
    assert codec.decode(KEY, row) is None


@codecs
def test_a_row_of_another_key_dimension_or_codec_is_refused(codec: Scaled16 | Exact32) -> None:
    """A truncated row is refused too, and so is one with more bytes after it."""
    vector = np.arange(DIMENSION, dtype=np.float32)
    row = codec.encode(KEY, vector)
    assert codec.decode(OTHER, row) is None
    assert codec.decode(KEY, row[:-1]) is None
    assert codec.decode(KEY, row + b"\0") is None
    others: list[Scaled16 | Exact32] = [other for other in CODECS if other != codec]
    for other in (*others, type(codec)(DIMENSION + 1), type(codec)(DIMENSION // 2)):
        assert other.decode(KEY, row) is None


def test_a_row_with_an_infinite_number_is_refused() -> None:
    """Its checksum and everything else are right."""
    infinite = np.full(DIMENSION, np.inf, dtype=np.float32)
    assert Exact32(DIMENSION).decode(KEY, Exact32(DIMENSION).encode(KEY, infinite)) is None
    numbers = np.full(DIMENSION, 2**14, "<i2").tobytes()
    for exponent, sound in ((128, True), (129, False)):
        checksum = zlib.crc32(numbers, zlib.crc32(KEY + struct.pack("<Bh", 1, exponent)))
        row = HEADER.pack(1, DIMENSION, exponent, checksum) + numbers
        assert (Scaled16(DIMENSION).decode(KEY, row) is not None) == sound


def test_an_item_of_384_dimensions_fits_into_one_write_unit() -> None:
    """The key, the time and all names of attributes are included."""
    assert Scaled16(384).row_bytes + ATTRIBUTES_BYTES < WRITE_UNIT_BYTES


def test_the_codec_loses_ten_times_less_than_the_quantizer() -> None:
    """The largest 1 - cosine that rounding causes is compared with the mean that int8 weights cause, from the manifest."""
    service = serve(FP32)
    vectors = service.embed(passages("scoring", 50), Options(normalize=False, use_cache=False)).vectors
    rounded = Scaled16(384).rounded(vectors)
    unit, unit_rounded = (v / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True) for v in (vectors, rounded))
    # 1 - cosine of unit vectors is half their squared distance, which rounding errors do not hide.
    lost = np.square(unit - unit_rounded).sum(axis=1) / 2
    fidelity = serve(INT8).manifest.fidelity
    assert 10 * lost.max() < 1 - fidelity["mean_cosine"]
