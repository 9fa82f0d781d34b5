"""Inputs of broken models, which no text causes otherwise: NaN, infinities, no rows, and sums that would overflow."""

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
    """Return random numbers around 0."""
    return generator.normal(0, 1, shape).astype(F32)


# --- NaN and infinities -----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(inputs=st.integers(1, 400), rows=st.integers(1, 20), special=st.sampled_from(SPECIAL), seed=SEEDS)
def test_a_row_with_a_nan_or_an_infinity_becomes_nan_in_linear_and_no_other_row_does(
    operators: Operators, inputs: int, rows: int, special: float, seed: int
) -> None:
    """All outputs of the row become NaN, with the activation and without."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, 37), normal(generator, rows, inputs)
    expected = operators.linear(values, parts, seed % 2)
    place = int(generator.integers(rows))
    values[place, generator.integers(inputs)] = special
    expected[place] = np.nan
    np.testing.assert_array_equal(operators.linear(values, parts, seed % 2), expected)


def test_a_row_whose_smoothing_overflows_becomes_nan_in_linear(operators: Operators) -> None:
    """Its numbers are finite before they are smoothed."""
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
def test_attention_returns_nan_for_a_nan_or_an_infinity_and_in_no_other_text(
    operators: Operators, tokens: int, width: int, part: int, special: float, seed: int
) -> None:
    """A NaN in a query makes the query's results NaN; one in a key, those of its head; one in a value, those of its column.

    An infinity gives NaN if softmax is not defined. It is defined if a key's score is minus infinity: the key has no weight.
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
    """All of its scores are minus infinity, so no key can have a weight."""
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
    """Either of the two rows that are added may have it."""
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
def test_inputs_without_rows_give_results_without_rows(operators: Operators, threads: int, shape: tuple[int, ...]) -> None:
    """There may be no texts, or no tokens."""
    shared = replace(operators, threads=threads, intra_op_threads=threads)
    parts, values = layer(np.random.default_rng(1), 20, 17), np.zeros((*shape, 20), F32)
    assert shared.linear(values, parts).shape == (*shape, 17)
    assert shared.add_norm(values, values, np.ones(20, F32), np.ones(20, F32)).shape == values.shape
    if len(shape) == 2:
        assert shared.attention(np.zeros((*shape, 60), F32), 4).shape == values.shape
        assert shared.attention(np.zeros((*shape, 60), F32), 4, np.zeros((1, 4, shape[1], shape[1]), F32)).shape == values.shape


# --- Activations whose sums of products are the largest that fit in 16 bits ---------------------------------

PATTERNS: dict[str, Callable[[Array], Array]] = {
    "all the largest": lambda k: np.full_like(k, 127),
    "all the smallest": lambda k: np.full_like(k, -127),
    "alternating signs": lambda k: np.where(k % 2, -127, 127),
    "signs that alternate pair by pair": lambda k: np.where(k // 2 % 2, -127, 127),
    "the second and the third": lambda k: np.where((k % 4 == 1) | (k % 4 == 2), 127, 0),
    "a pair of each group": lambda k: np.where(k % 4 < 2, 127, 1),
    "the other pair of each group": lambda k: np.where(k % 4 < 2, -1, -127),
    "nearly one of each pair": lambda k: np.where(k % 2, 1, 127),
    "nearly one of each pair, a little larger": lambda k: np.where(k % 2, 2, 127),
    "nearly one of each pair, negative": lambda k: np.where(k % 2, -127, -1),
    "nearly one of each pair, negative, a little larger": lambda k: np.where(k % 2, -127, -2),
    "halves and one large": lambda k: np.where(k == 0, 127, 64),
    "halves": lambda k: np.where(k % 2, 65, 64),
    "only the last pair": lambda k: np.where(k >= len(k) - 2, 127, 0),
    "only the first pair": lambda k: np.where(k < 2, -127, 0),
}
ODD_BLOCKS = [2, 4, 14, 16, 18, 20, 30, 32, 36, 60, 68, 100, 124, 128, 132, 156, 160, 164, 180, 190, 192, 194, 260, 384, 388, 772]
"""Numbers of inputs whose blocks end at every place of a register, and of a span of sixteen activations."""


@pytest.mark.parametrize("fine", [0, 1])
@pytest.mark.parametrize("inputs", ODD_BLOCKS)
def test_sums_are_exact_for_all_patterns_of_activations(operators: Operators, inputs: int, fine: int) -> None:
    """The weights are at both ends of their range. Each pattern fills whole rows, and every two rows are in one tile."""
    generator = np.random.default_rng(inputs)
    rows = np.stack([pattern(np.arange(inputs)) for pattern in PATTERNS.values()])
    rows = np.concatenate([rows, generator.integers(-127, 128, (4, inputs)), generator.choice([-127, 127], (4, inputs))])
    values = np.concatenate([rows, generator.permuted(rows, axis=1), rows[::-1]]).astype(F32)
    kinds = [np.full(inputs, 127), np.full(inputs, -127), np.where(np.arange(inputs) % 2, -127, 127)]
    weights = np.stack([*kinds, *generator.integers(-127, 128, (17, inputs))]).astype(np.int8).T
    parts = np.ascontiguousarray(weights), np.ones(20, F32), np.zeros(20, F32), np.ones(inputs, F32)
    expected = reference.linear(values, parts, fine)
    np.testing.assert_array_equal(operators.linear(values, parts, fine=fine), expected)
    for first in range(0, len(values), 5):  # in other tiles, and with the kernels for few rows
        np.testing.assert_array_equal(operators.linear(values[first : first + 5], parts, fine=fine), expected[first : first + 5])


@pytest.mark.parametrize("fine", [0, 1])
def test_the_sums_of_rounded_activations_are_at_most_128_and_reach_it(fine: int) -> None:
    """The largest weight is 255 as AVX2 multiplies it, and 255 * 128 fits in 16 bits."""
    largest = set()
    for pattern, inputs in itertools.product(PATTERNS.values(), ODD_BLOCKS):
        block = pattern(np.arange(inputs)).astype(F32)[np.newaxis, :192]
        numbers, _ = reference.rounded(block, fine)
        assert np.abs(numbers).max() <= 127
        largest.add(int(reference.signed_sums(numbers, fine).max()))
    assert max(largest) == 128


@settings(max_examples=100, deadline=None)
@given(inputs=st.integers(1, 192), fine=st.integers(0, 1), tail=st.floats(0, 8), seed=SEEDS)
def test_no_sum_of_rounded_activations_is_above_128(inputs: int, fine: int, tail: float, seed: int) -> None:
    """That holds for all distributions, also where a few numbers are far larger than the others."""
    generator = np.random.default_rng(seed)
    block = (generator.standard_normal((3, inputs)) * np.exp(tail * generator.standard_normal((3, inputs)))).astype(F32)
    block[1] = np.abs(block[1])
    numbers, _ = reference.rounded(block, fine)
    assert np.abs(numbers).max() <= 127
    assert reference.signed_sums(numbers, fine).max() <= 128


@pytest.mark.parametrize("fine", [0, 1])
def test_linear_accepts_numbers_whose_sums_are_infinite(operators: Operators, fine: int) -> None:
    """The step is then as large as such numbers may need."""
    generator = np.random.default_rng(1)
    weights, scales, bias = np.eye(20, 17, dtype=np.int8), np.ones(17, F32), np.zeros(17, F32)
    values = np.stack([np.full(20, 2e38), np.full(20, -3e38), generator.choice([-3e38, 1e38], 20)]).astype(F32)
    parts = weights, scales, bias, np.ones(20, F32)
    expected = reference.linear(values, parts, fine)
    np.testing.assert_allclose(expected, values[:, :17], rtol=0.1)
    np.testing.assert_array_equal(operators.linear(values, parts, fine=fine), expected)
