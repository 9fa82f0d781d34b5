"""The results of the encoder's own operators, run by ONNX Runtime with each set of kernels, are compared with numpy's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.model.int8 import BLOCK
from tests.layers.runtime import reference
from tests.layers.runtime.operators import Array, Operators, layer

F32 = np.float32
SEEDS = st.integers(0, 2**32 - 1)
INPUTS = st.one_of(st.integers(1, 70), st.integers(BLOCK - 5, 2 * BLOCK + 5), st.sampled_from([384, 1536, 1921, 2881]))
"""Numbers of inputs of one block and of several, with full and partial vectors. With 2,881, the last of 16 blocks lacks 63."""
OUTPUTS = st.one_of(st.integers(1, 70), st.integers(120, 140))
WIDTHS = [1, 5, 16, 26, 32, 40, 48, 64, 80]


def normal(generator: np.random.Generator, *shape: int) -> Array:
    """Return random numbers around 0."""
    return generator.normal(0, 1, shape).astype(F32)


# --- Linear -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(inputs=INPUTS, outputs=OUTPUTS, rows=st.integers(1, 20), fine=st.integers(0, 1), seed=SEEDS)
def test_linear_is_its_definition_bit_for_bit(
    operators: Operators, inputs: int, outputs: int, rows: int, fine: int, seed: int
) -> None:
    """One row is all zeros, and another has one large number."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, outputs), normal(generator, rows, inputs)
    values[generator.integers(rows)] = 0
    values[generator.integers(rows), generator.integers(inputs)] *= 1000
    np.testing.assert_array_equal(operators.linear(values, parts, fine=fine), reference.linear(values, parts, fine))


@settings(max_examples=25, deadline=None)
@given(inputs=INPUTS, outputs=OUTPUTS, rows=st.integers(1, 20), gelu=st.integers(0, 1), seed=SEEDS)
def test_a_row_of_linear_does_not_depend_on_the_others(
    operators: Operators, inputs: int, outputs: int, rows: int, gelu: int, seed: int
) -> None:
    """It has the same bits alone as among other rows."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, outputs), normal(generator, rows, inputs)
    place = int(generator.integers(rows))
    alone = operators.linear(values[place : place + 1], parts, gelu=gelu)
    assert alone[0].tobytes() == operators.linear(values, parts, gelu=gelu)[place].tobytes()


def test_linear_accepts_more_rows_than_it_rounds_at_a_time(operators: Operators) -> None:
    """With 1,536 inputs, it rounds about a hundred rows at a time."""
    generator = np.random.default_rng(1)
    parts, values = layer(generator, 1536, 70), normal(generator, 300, 1536)
    np.testing.assert_array_equal(operators.linear(values, parts), reference.linear(values, parts))


@pytest.mark.parametrize("inputs", [1921, 2881])
def test_numbers_that_an_earlier_layer_left_in_memory_are_not_summed(operators: Operators, inputs: int) -> None:
    """They would be, if a last block with fewer inputs were not padded with zeros."""
    generator = np.random.default_rng(1)
    before, parts = layer(generator, 2944, 70), layer(generator, inputs, 70)
    for rows in range(1, 20):
        values = normal(generator, rows, inputs)
        operators.linear(normal(generator, rows, 2944), before)
        np.testing.assert_array_equal(operators.linear(values, parts), reference.linear(values, parts))


@pytest.mark.parametrize("fine", [0, 1])
@pytest.mark.parametrize("exponent", [-45, -38, -33, -25, 30])
def test_linear_accepts_rows_of_very_small_and_very_large_numbers(operators: Operators, exponent: int, fine: int) -> None:
    """A row of numbers below 1e-30 counts as zeros."""
    generator = np.random.default_rng(2)
    parts = layer(generator, 20, 17)
    parts[2][::2] = 0
    values = (normal(generator, 3, 20).astype(np.float64) * 10.0**exponent).astype(F32)
    np.testing.assert_array_equal(operators.linear(values, parts, fine=fine), reference.linear(values, parts, fine))


def test_linear_keeps_the_shape_of_its_input_except_for_the_last_dimension(operators: Operators) -> None:
    """The input may have any number of dimensions, and no rows."""
    generator = np.random.default_rng(3)
    parts, values = layer(generator, 20, 17), normal(generator, 6, 20)
    found = operators.linear(values.reshape(1, 2, 3, 20), parts)
    assert found.shape == (1, 2, 3, 17)
    assert np.array_equal(found.reshape(6, 17), operators.linear(values, parts))
    assert operators.linear(values[:0], parts).shape == (0, 17)


def test_gelu_is_exact_to_a_millionth(operators: Operators) -> None:
    """The error function is the reference. A row of zeros gives the bias, which is the argument of gelu."""
    bias = np.linspace(-30, 30, 40_001, dtype=F32)
    weights, scales = np.ones((1, len(bias)), np.int8), np.ones(len(bias), F32)
    (found,) = operators.linear(np.zeros((1, 1), F32), (weights, scales, bias, np.ones(1, F32)), gelu=1)
    expected = np.array([x * math.erfc(-x / math.sqrt(2)) / 2 for x in bias.tolist()])
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=2e-7)


# --- Attention --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@settings(max_examples=8, deadline=None)
@given(texts=st.integers(1, 3), tokens=st.integers(1, 150), heads=st.integers(1, 4), seed=SEEDS)
def test_attention_is_exact_to_a_millionth(
    operators: Operators, width: int, texts: int, tokens: int, heads: int, seed: int
) -> None:
    """The reference is numpy in float64. A text has the same bits alone as among other texts."""
    generator = np.random.default_rng(seed)
    qkv = normal(generator, texts, tokens, 3 * heads * width)
    bias = normal(generator, 1, heads, tokens, tokens) if seed % 2 else None
    found = operators.attention(qkv, heads, bias)
    np.testing.assert_allclose(found, reference.attention(qkv, heads, bias), rtol=1e-6, atol=2e-6)
    place = int(generator.integers(texts))
    assert operators.attention(qkv[place : place + 1], heads, bias)[0].tobytes() == found[place].tobytes()


@pytest.mark.parametrize("width", WIDTHS)
def test_attention_to_one_very_large_score_returns_the_value_of_its_key(operators: Operators, width: int) -> None:
    """The value is returned bit for bit, and very negative scores cause no errors."""
    tokens, generator = 37, np.random.default_rng(width)
    qkv = np.zeros((1, tokens, 3, 1, width), F32)
    qkv[0, :, 2, 0] = values = normal(generator, tokens, width)
    chosen = generator.permutation(tokens)
    bias = np.full((1, 1, tokens, tokens), F32(-3e37))
    bias[0, 0, np.arange(tokens), chosen] = 1e30
    assert np.array_equal(operators.attention(qkv.reshape(1, tokens, -1), 1, bias)[0], values[chosen])

    qkv[0, :, :2, 0] = 1e4 * np.where(np.arange(tokens) % 2, 1, -1)[:, np.newaxis, np.newaxis]  # each attends to its own half
    found = operators.attention(qkv.reshape(1, tokens, -1), 1)
    np.testing.assert_allclose(found, reference.attention(qkv.reshape(1, tokens, -1), 1), rtol=1e-6, atol=2e-6)


@settings(max_examples=15, deadline=None)
@given(width=st.sampled_from(WIDTHS), tokens=st.integers(1, 150), seed=SEEDS)
def test_a_query_s_attention_does_not_depend_on_the_other_queries_and_heads(
    operators: Operators, width: int, tokens: int, seed: int
) -> None:
    """With all of these changed it has the same bits."""
    generator = np.random.default_rng(seed)
    qkv = normal(generator, 1, tokens, 3, 3, width)
    head, token = int(generator.integers(3)), int(generator.integers(tokens))
    other = normal(generator, *qkv.shape)
    other[0, token, 0, head] = qkv[0, token, 0, head]
    other[0, :, 1:, head] = qkv[0, :, 1:, head]
    one, two = (operators.attention(each.reshape(1, tokens, -1), 3).reshape(tokens, 3, width) for each in (qkv, other))
    assert one[token, head].tobytes() == two[token, head].tobytes()


# --- AddNorm and Mean -------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    width=st.one_of(st.integers(1, 70), st.sampled_from([384, 1023])),
    rows=st.integers(1, 20),
    epsilon=st.sampled_from([1e-12, 1e-5, 0.1]),
    seed=SEEDS,
)
def test_add_norm_is_exact_to_a_millionth_and_no_row_depends_on_another(
    operators: Operators, width: int, rows: int, epsilon: float, seed: int
) -> None:
    """The reference is numpy in float64. A row has the same bits alone as among other rows."""
    generator = np.random.default_rng(seed)
    one, other = normal(generator, 1, rows, width), 3 + normal(generator, 1, rows, width)
    gamma, beta = normal(generator, width), normal(generator, width)
    found = operators.add_norm(one, other, gamma, beta, epsilon)

    added = (one + other).astype(np.float64)
    centred = added - added.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + epsilon)
    # The mean is rounded to a step of float32, which counts for more the less the numbers differ.
    np.testing.assert_allclose(found, centred / deviation * gamma + beta, rtol=2e-6, atol=2e-6 * max(1, 1 / deviation.min()))

    place = int(generator.integers(rows))
    one, other = (each[:, place : place + 1] for each in (one, other))
    alone = operators.add_norm(one, other, gamma, beta, epsilon)
    assert alone[0, 0].tobytes() == found[0, place].tobytes()


def test_the_second_input_of_add_norm_is_repeated_for_each_text(operators: Operators) -> None:
    """The embeddings of positions are the same for all texts of a length."""
    generator = np.random.default_rng(4)
    texts, places, gamma, beta = (normal(generator, *shape) for shape in ((3, 5, 19), (1, 5, 19), (19,), (19,)))
    once = operators.add_norm(texts, places, gamma, beta)
    each = operators.add_norm(texts, np.repeat(places, 3, axis=0), gamma, beta)
    assert once.tobytes() == each.tobytes()


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 70), tokens=st.integers(1, 150), texts=st.integers(1, 3), seed=SEEDS)
def test_mean_sums_each_text_s_tokens_in_their_order(operators: Operators, width: int, tokens: int, texts: int, seed: int) -> None:
    """It sums in float32 and divides by the number of tokens."""
    values = normal(np.random.default_rng(seed), texts, tokens, width)
    expected = np.cumsum(values, axis=1)[:, -1] / F32(tokens)
    assert expected.dtype == F32
    assert np.array_equal(operators.mean(values), expected)
