"""Product, run by ONNX Runtime with each set of kernels, is its definition bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.runtime import reference
from tests.layers.runtime.operators import Array, Operators

F32 = np.float32


def drawn(seed: int, *shape: int) -> Array:
    """Return random numbers around 0."""
    return np.random.default_rng(seed).normal(0, 1, shape).astype(F32)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 10), inputs=st.integers(1, 70), outputs=st.integers(1, 140), seed=st.integers(0, 2**31))
def test_product_is_its_definition_bit_for_bit_and_no_row_depends_on_another(
    operators: Operators, rows: int, inputs: int, outputs: int, seed: int
) -> None:
    """One row is all zeros, so that its result is the bias."""
    values, weights = drawn(seed, rows, inputs), drawn(seed + 1, inputs, outputs)
    bias = drawn(seed + 2, outputs) if seed % 2 else None
    values[seed % rows] = 0
    found = operators.run("Product", values=values, weights=weights, bias=bias)
    np.testing.assert_array_equal(found, reference.product(values, weights, bias))
    assert np.array_equal(found[seed % rows], np.zeros(outputs) if bias is None else bias)
    place = seed // 2 % rows
    alone = operators.run("Product", values=values[place : place + 1], weights=weights, bias=bias)
    assert alone[0].tobytes() == found[place].tobytes()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_nan_or_an_infinity_is_not_finite_in_product_and_every_other_row_is(
    operators: Operators, special: float
) -> None:
    """No weight is zero, so an infinity reaches every output."""
    values, weights = drawn(1, 9, 21), drawn(2, 21, 37)
    expected = operators.run("Product", values=values, weights=weights)
    values[4, 20] = special
    found = operators.run("Product", values=values, weights=weights)
    assert not np.isfinite(found[4]).any()
    assert np.array_equal(np.delete(found, 4, axis=0), np.delete(expected, 4, axis=0))


@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize("shape", [(0, 40), (2, 0, 40), (40,), (1, 999), (7, 600), (1, 2, 3, 4, 5)])
def test_threads_and_dimensions_change_no_bit_of_product(operators: Operators, threads: int, shape: tuple[int, ...]) -> None:
    """The larger ones are shared between threads, by their outputs. There may be no rows."""
    values, weights = drawn(1, *shape), drawn(2, shape[-1], 301)
    found = replace(operators, threads=threads, intra_op_threads=min(threads, 3)).run("Product", values=values, weights=weights)
    assert found.shape == (*shape[:-1], 301)
    assert found.tobytes() == operators.run("Product", values=values, weights=weights).tobytes()
