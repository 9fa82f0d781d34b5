"""Inputs that no text makes, but a broken model might: NaN, infinities, no rows, sums that would overflow."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.runtime import reference
from tests.layers.runtime.operators import Array, Operators, layer

F32 = np.float32
SPECIAL = [np.nan, -np.nan, np.inf, -np.inf]
SEEDS = st.integers(0, 2**32 - 1)


def normal(generator: np.random.Generator, *shape: int) -> Array:
    """Numbers around 0."""
    return generator.normal(0, 1, shape).astype(F32)


# --- NaN and infinities -----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(inputs=st.integers(1, 400), rows=st.integers(1, 20), special=st.sampled_from(SPECIAL), seed=SEEDS)
def test_a_row_with_a_nan_or_an_infinity_becomes_nan_in_linear_and_no_other_row_does(
    operators: Operators, inputs: int, rows: int, special: float, seed: int
) -> None:
    """In all of its outputs, with the activation and without."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, 37), normal(generator, rows, inputs)
    expected = operators.linear(values, parts, seed % 2)
    place = int(generator.integers(rows))
    values[place, generator.integers(inputs)] = special
    expected[place] = np.nan
    np.testing.assert_array_equal(operators.linear(values, parts, seed % 2), expected)


def test_a_row_whose_smoothing_overflows_becomes_nan_in_linear(operators: Operators) -> None:
    """Its numbers are finite, but not once they are smoothed."""
    parts = layer(np.random.default_rng(1), 20, 17)
    parts[3][:] = 1e30
    values = np.ones((2, 20), F32)
    values[1, 3] = 1e30
    found = operators.linear(values, parts)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


@settings(max_examples=25, deadline=None)
@given(
    tokens=st.integers(1, 40),
    width=st.sampled_from([1, 5, 16, 32, 40]),
    part=st.integers(0, 2),
    special=st.sampled_from(SPECIAL),
    seed=SEEDS,
)
def test_attention_hides_no_nan_and_no_infinity_and_keeps_it_in_its_text(
    operators: Operators, tokens: int, width: int, part: int, special: float, seed: int
) -> None:
    """A NaN in a query makes its results NaN, in a key those of its head, in a value those of its column.

    An infinity makes NaN where softmax is not defined. Where it is, because a key has a score of minus infinity, that key counts
    for nothing.
    """
    generator = np.random.default_rng(seed)
    qkv = normal(generator, 3, tokens, 3, 2, width)
    before = operators.attention(qkv.reshape(3, tokens, -1), 2)
    token, head, column = int(generator.integers(tokens)), int(generator.integers(2)), int(generator.integers(width))
    qkv[1, token, part, head, column] = special
    found = operators.attention(qkv.reshape(3, tokens, -1), 2)
    assert found[[0, 2]].tobytes() == before[[0, 2]].tobytes()

    with np.errstate(invalid="ignore"):
        exact = reference.attention(qkv.reshape(3, tokens, -1), 2)
    is_defined = np.isfinite(exact)
    assert part == 1 or not is_defined[1].all()
    assert not np.isfinite(found[~is_defined]).any()
    np.testing.assert_allclose(found[is_defined], exact[is_defined], rtol=0, atol=2e-6)


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 32, 33])
def test_a_query_without_any_finite_score_becomes_nan(operators: Operators, tokens: int) -> None:
    """All of its scores are minus infinity: there is nothing to share out."""
    qkv = np.ones((1, tokens, 3, 1, 16), F32)
    qkv[0, 0, 0, 0, 3] = -np.inf
    found = operators.attention(qkv.reshape(1, tokens, -1), 1)
    assert np.isnan(found[0, 0]).all()
    assert (found[0, 1:] == 1).all()


@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 400), rows=st.integers(1, 20), special=st.sampled_from(SPECIAL), seed=SEEDS)
def test_a_row_with_a_nan_or_an_infinity_becomes_nan_in_add_norm_and_no_other_row_does(
    operators: Operators, width: int, rows: int, special: float, seed: int
) -> None:
    """Whichever of the two rows that are added has it."""
    generator = np.random.default_rng(seed)
    one, other = normal(generator, 1, rows, width), normal(generator, 1, rows, width)
    gamma, beta = normal(generator, width), normal(generator, width)
    expected = operators.add_norm(one, other, gamma, beta, 1e-5)
    place = int(generator.integers(rows))
    (one, other)[seed % 2][0, place, generator.integers(width)] = special
    expected[0, place] = np.nan
    np.testing.assert_array_equal(operators.add_norm(one, other, gamma, beta, 1e-5), expected)


# --- No rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(0,), (0, 5), (2, 0)])
def test_no_rows_make_no_rows(operators: Operators, threads: int, shape: tuple[int, ...]) -> None:
    """Of texts, or of tokens."""
    shared = replace(operators, threads=threads, intra_op_threads=threads)
    parts, values = layer(np.random.default_rng(1), 20, 17), np.zeros((*shape, 20), F32)
    assert shared.linear(values, parts).shape == (*shape, 17)
    assert shared.add_norm(values, values, np.ones(20, F32), np.ones(20, F32)).shape == values.shape
    if len(shape) == 2:
        assert shared.attention(np.zeros((*shape, 60), F32), 4).shape == values.shape
        assert shared.attention(np.zeros((*shape, 60), F32), 4, np.zeros((1, 4, shape[1], shape[1]), F32)).shape == values.shape


# --- Pairs of activations whose products would overflow 16 bits --------------------------------------------

PATTERNS: dict[str, Callable[[Array], Array]] = {
    "all the largest": lambda k: np.full_like(k, 127),
    "all the least": lambda k: np.full_like(k, -127),
    "signs from one to the next": lambda k: np.where(k % 2, -127, 127),
    "signs from pair to pair": lambda k: np.where(k // 2 % 2, -127, 127),
    "the second and the third": lambda k: np.where((k % 4 == 1) | (k % 4 == 2), 127, 0),
    "a pair of each group": lambda k: np.where(k % 4 < 2, 127, 1),
    "the other pair of each group": lambda k: np.where(k % 4 < 2, -1, -127),
    "just within": lambda k: np.where(k % 2, 1, 127),
    "just without": lambda k: np.where(k % 2, 2, 127),
    "just within, negative": lambda k: np.where(k % 2, -127, -1),
    "just without, negative": lambda k: np.where(k % 2, -127, -2),
    "halves within": lambda k: np.where(k == 0, 127, 64),
    "halves without": lambda k: np.where(k % 2, 65, 64),
    "the last pair alone": lambda k: np.where(k >= len(k) - 2, 127, 0),
    "the first pair alone": lambda k: np.where(k < 2, -127, 0),
}
ODD_BLOCKS = [2, 4, 14, 16, 18, 20, 30, 32, 36, 60, 68, 100, 124, 128, 132, 156, 160, 164, 180, 190, 192, 194, 260, 384, 388, 772]
"""Numbers of inputs whose blocks end at each place of a register, and of the 128 activations that are looked at together."""


@pytest.mark.parametrize("inputs", ODD_BLOCKS)
def test_sums_are_exact_whatever_pairs_of_activations_there_are(operators: Operators, inputs: int) -> None:
    """With weights at both ends of their range; the patterns fill whole rows, and every pair of rows meets in one tile."""
    generator = np.random.default_rng(inputs)
    rows = np.stack([pattern(np.arange(inputs)) for pattern in PATTERNS.values()])
    rows = np.concatenate([rows, generator.integers(-127, 128, (4, inputs)), generator.choice([-127, 127], (4, inputs))])
    values = np.concatenate([rows, generator.permuted(rows, axis=1), rows[::-1]]).astype(F32)
    kinds = [np.full(inputs, 127), np.full(inputs, -127), np.where(np.arange(inputs) % 2, -127, 127)]
    weights = np.stack([*kinds, *generator.integers(-127, 128, (17, inputs))]).astype(np.int8).T
    parts = np.ascontiguousarray(weights), np.ones(20, F32), np.zeros(20, F32), np.ones(inputs, F32)
    expected = reference.linear(values, parts)
    np.testing.assert_array_equal(operators.linear(values, parts), expected)
    for first in range(0, len(values), 5):  # in other tiles, and few enough rows for the kernels that take few
        np.testing.assert_array_equal(operators.linear(values[first : first + 5], parts), expected[first : first + 5])


def test_the_patterns_reach_the_bound_from_both_sides() -> None:
    """The sum of a pair is 128 and 129 in some, in both directions."""
    sums = {int(value) for pattern in PATTERNS.values() for value in pattern(np.arange(64)).reshape(-1, 2).sum(axis=1)}
    assert {128, 129, -128, -129, 254, -254} <= sums
    assert all(len(pattern(np.arange(inputs))) == inputs for pattern, inputs in itertools.product(PATTERNS.values(), ODD_BLOCKS))
