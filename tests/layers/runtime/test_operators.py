"""The encoder's own operators, as ONNX Runtime runs them with each set of kernels, against numpy."""

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
"""Of one block and of several, whole vectors and not. Of 2,881 in 16 blocks the last ends 63 early."""
OUTPUTS = st.one_of(st.integers(1, 70), st.integers(120, 140))
WIDTHS = [1, 5, 16, 26, 32, 40, 48, 64, 80]


def normal(generator: np.random.Generator, *shape: int) -> Array:
    """Numbers around 0."""
    return generator.normal(0, 1, shape).astype(F32)


# --- Linear -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(inputs=INPUTS, outputs=OUTPUTS, rows=st.integers(1, 20), seed=SEEDS)
def test_linear_is_its_definition_bit_for_bit(operators: Operators, inputs: int, outputs: int, rows: int, seed: int) -> None:
    """Of every size; one row is all zeros, and another is large in one place."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, outputs), normal(generator, rows, inputs)
    values[generator.integers(rows)] = 0
    values[generator.integers(rows), generator.integers(inputs)] *= 1000
    np.testing.assert_array_equal(operators.linear(values, parts), reference.linear(values, parts))


@settings(max_examples=25, deadline=None)
@given(inputs=INPUTS, outputs=OUTPUTS, rows=st.integers(1, 20), gelu=st.integers(0, 1), seed=SEEDS)
def test_a_row_of_linear_does_not_depend_on_the_others(
    operators: Operators, inputs: int, outputs: int, rows: int, gelu: int, seed: int
) -> None:
    """Alone it has the bits that it has among others."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, outputs), normal(generator, rows, inputs)
    place = int(generator.integers(rows))
    alone = operators.linear(values[place : place + 1], parts, gelu=gelu)
    assert alone[0].tobytes() == operators.linear(values, parts, gelu=gelu)[place].tobytes()


def test_linear_takes_more_rows_than_it_rounds_at_a_time(operators: Operators) -> None:
    """Of 1,536 inputs it rounds some hundred."""
    generator = np.random.default_rng(1)
    parts, values = layer(generator, 1536, 70), normal(generator, 300, 1536)
    np.testing.assert_array_equal(operators.linear(values, parts), reference.linear(values, parts))


@pytest.mark.parametrize("inputs", [1921, 2881])
def test_what_a_layer_before_left_in_memory_is_not_summed(operators: Operators, inputs: int) -> None:
    """Where the last block ends early."""
    generator = np.random.default_rng(1)
    before, parts = layer(generator, 2944, 70), layer(generator, inputs, 70)
    for rows in range(1, 20):
        values = normal(generator, rows, inputs)
        operators.linear(normal(generator, rows, 2944), before)
        np.testing.assert_array_equal(operators.linear(values, parts), reference.linear(values, parts))


@pytest.mark.parametrize("exponent", [-45, -38, -33, -25, 30])
def test_linear_takes_rows_of_any_size(operators: Operators, exponent: int) -> None:
    """A row of numbers that are next to nothing is one of zeros."""
    generator = np.random.default_rng(2)
    parts = layer(generator, 20, 17)
    parts[2][::2] = 0
    values = (normal(generator, 3, 20).astype(np.float64) * 10.0**exponent).astype(F32)
    np.testing.assert_array_equal(operators.linear(values, parts), reference.linear(values, parts))


def test_linear_keeps_the_shape_of_what_it_is_given(operators: Operators) -> None:
    """But for the last dimension."""
    generator = np.random.default_rng(3)
    parts, values = layer(generator, 20, 17), normal(generator, 6, 20)
    found = operators.linear(values.reshape(1, 2, 3, 20), parts)
    assert found.shape == (1, 2, 3, 17)
    assert np.array_equal(found.reshape(6, 17), operators.linear(values, parts))
    assert operators.linear(values[:0], parts).shape == (0, 17)


def test_gelu_is_exact_to_a_millionth(operators: Operators) -> None:
    """Held against the error function; a row of zeros gives the bias, which so goes through gelu."""
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
    """Held against numpy in float64; and a text alone has the bits that it has among others."""
    generator = np.random.default_rng(seed)
    qkv = normal(generator, texts, tokens, 3 * heads * width)
    bias = normal(generator, 1, heads, tokens, tokens) if seed % 2 else None
    found = operators.attention(qkv, heads, bias)
    np.testing.assert_allclose(found, reference.attention(qkv, heads, bias), rtol=0, atol=2e-6)
    place = int(generator.integers(texts))
    assert operators.attention(qkv[place : place + 1], heads, bias)[0].tobytes() == found[place].tobytes()


@pytest.mark.parametrize("width", WIDTHS)
def test_attention_to_very_large_scores_takes_the_largest(operators: Operators, width: int) -> None:
    """Where one key is far above all others, its value comes back, bit for bit; very negative scores are no trouble either."""
    tokens, generator = 37, np.random.default_rng(width)
    qkv = np.zeros((1, tokens, 3, 1, width), F32)
    qkv[0, :, 2, 0] = values = normal(generator, tokens, width)
    chosen = generator.permutation(tokens)
    bias = np.full((1, 1, tokens, tokens), F32(-3e37))
    bias[0, 0, np.arange(tokens), chosen] = 1e30
    assert np.array_equal(operators.attention(qkv.reshape(1, tokens, -1), 1, bias)[0], values[chosen])

    qkv[0, :, :2, 0] = 1e4 * np.where(np.arange(tokens) % 2, 1, -1)[:, np.newaxis, np.newaxis]  # each attends to its own half
    found = operators.attention(qkv.reshape(1, tokens, -1), 1)
    np.testing.assert_allclose(found, reference.attention(qkv.reshape(1, tokens, -1), 1), rtol=0, atol=2e-6)


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
def test_add_norm_is_exact_to_a_millionth_and_each_row_s_own(
    operators: Operators, width: int, rows: int, epsilon: float, seed: int
) -> None:
    """Held against numpy in float64; and a row alone has the bits that it has among others."""
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


def test_the_second_of_add_norm_s_inputs_comes_again_for_each_text(operators: Operators) -> None:
    """As places do, which are the same for all texts of a length."""
    generator = np.random.default_rng(4)
    texts, places, gamma, beta = (normal(generator, *shape) for shape in ((3, 5, 19), (1, 5, 19), (19,), (19,)))
    once = operators.add_norm(texts, places, gamma, beta)
    each = operators.add_norm(texts, np.repeat(places, 3, axis=0), gamma, beta)
    assert once.tobytes() == each.tobytes()


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 70), tokens=st.integers(1, 150), texts=st.integers(1, 3), seed=SEEDS)
def test_mean_sums_each_text_s_tokens_in_their_order(operators: Operators, width: int, tokens: int, texts: int, seed: int) -> None:
    """In float32, and divides by how many they are."""
    values = normal(np.random.default_rng(seed), texts, tokens, width)
    expected = np.cumsum(values, axis=1)[:, -1] / F32(tokens)
    assert expected.dtype == F32
    assert np.array_equal(operators.mean(values), expected)
