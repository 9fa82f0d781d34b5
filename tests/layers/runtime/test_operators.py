"""The encoder's own operators, as ONNX Runtime runs them, against numpy; and what they refuse."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.model.int8 import BLOCK, packed
from layers.model.layout import GROUP
from tests.layers.runtime.operators import Array, Layer, attention, layer, linear, run

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


def fma(a: Array, b: Array, c: Array) -> Array:
    """The float32 nearest to a * b + c.

    In float64 the product is exact; where the sum is not, its last bit is made odd, so that rounding it again rounds as rightly.
    """
    product, c = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + c
    added = total - product
    lost = (product - (total - added)) + (c - added)
    even = total.view(np.int64) % 2 == 0
    odd: Array = np.where((lost != 0) & even, np.nextafter(total, np.copysign(np.inf, lost)), total)
    return odd.astype(F32)


def emulated(values: Array, parts: Layer) -> Array:
    """Linear by its definition: every product of bytes exact, every float rounded as IEEE 754 says."""
    weights, scales, bias, smoothing = parts
    smoothed = values * smoothing
    block = packed(weights).shape[2] * GROUP
    totals = np.zeros((len(values), weights.shape[1]), F32)
    for start in range(0, len(weights), block):
        part = smoothed[:, start : start + block]
        top = np.abs(part).max(axis=1, keepdims=True)
        steps = np.divide(F32(127), top, where=top > F32(1e-30), out=np.zeros_like(top))
        sums = np.rint(part * steps).astype(np.int32) @ weights[start : start + block].astype(np.int32)
        totals = fma(sums.astype(F32), np.broadcast_to(top / F32(127), sums.shape), totals)
    return fma(totals, np.broadcast_to(scales, totals.shape), np.broadcast_to(bias, totals.shape))


@settings(max_examples=100, deadline=None)
@given(inputs=INPUTS, outputs=OUTPUTS, rows=st.integers(1, 20), seed=SEEDS)
def test_linear_is_its_definition_bit_for_bit(inputs: int, outputs: int, rows: int, seed: int) -> None:
    """Of every size; one row is all zeros, and another is large in one place."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, outputs), normal(generator, rows, inputs)
    values[generator.integers(rows)] = 0
    values[generator.integers(rows), generator.integers(inputs)] *= 1000
    np.testing.assert_array_equal(linear(values, parts), emulated(values, parts))


@settings(max_examples=50, deadline=None)
@given(inputs=INPUTS, outputs=OUTPUTS, rows=st.integers(1, 20), gelu=st.integers(0, 1), seed=SEEDS)
def test_a_row_of_linear_does_not_depend_on_the_others(inputs: int, outputs: int, rows: int, gelu: int, seed: int) -> None:
    """Alone it has the bits that it has among others."""
    generator = np.random.default_rng(seed)
    parts, values = layer(generator, inputs, outputs), normal(generator, rows, inputs)
    place = int(generator.integers(rows))
    alone = linear(values[place : place + 1], parts, gelu=gelu)
    assert alone[0].tobytes() == linear(values, parts, gelu=gelu)[place].tobytes()


def test_linear_takes_more_rows_than_it_rounds_at_a_time() -> None:
    """Of 1,536 inputs it rounds some hundred."""
    generator = np.random.default_rng(1)
    parts, values = layer(generator, 1536, 70), normal(generator, 300, 1536)
    np.testing.assert_array_equal(linear(values, parts), emulated(values, parts))


@pytest.mark.parametrize("inputs", [1921, 2881])
def test_what_a_layer_before_left_in_memory_is_not_summed(inputs: int) -> None:
    """Where the last block ends early."""
    generator = np.random.default_rng(1)
    before, parts = layer(generator, 2944, 70), layer(generator, inputs, 70)
    for rows in range(1, 20):
        values = normal(generator, rows, inputs)
        linear(normal(generator, rows, 2944), before)
        np.testing.assert_array_equal(linear(values, parts), emulated(values, parts))


@pytest.mark.parametrize("exponent", [-45, -38, -33, -25, 30])
def test_linear_takes_rows_of_any_size(exponent: int) -> None:
    """A row of numbers that are next to nothing is one of zeros."""
    generator = np.random.default_rng(2)
    parts = layer(generator, 20, 17)
    parts[2][::2] = 0
    values = (normal(generator, 3, 20).astype(np.float64) * 10.0**exponent).astype(F32)
    np.testing.assert_array_equal(linear(values, parts), emulated(values, parts))


def test_linear_keeps_the_shape_of_what_it_is_given() -> None:
    """But for the last dimension."""
    generator = np.random.default_rng(3)
    parts, values = layer(generator, 20, 17), normal(generator, 6, 20)
    found = linear(values.reshape(1, 2, 3, 20), parts)
    assert found.shape == (1, 2, 3, 17)
    assert np.array_equal(found.reshape(6, 17), linear(values, parts))
    assert linear(values[:0], parts).shape == (0, 17)


def test_gelu_is_exact_to_a_millionth() -> None:
    """Held against the error function; a row of zeros gives the bias, which so goes through gelu."""
    bias = np.linspace(-30, 30, 40_001, dtype=F32)
    weights, scales = np.ones((1, len(bias)), np.int8), np.ones(len(bias), F32)
    (found,) = linear(np.zeros((1, 1), F32), (weights, scales, bias, np.ones(1, F32)), gelu=1)
    expected = np.array([x * math.erfc(-x / math.sqrt(2)) / 2 for x in bias.tolist()])
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=2e-7)


# --- Attention --------------------------------------------------------------------------------------------


def attended(qkv: Array, heads: int, bias: Array | None = None) -> Array:
    """Softmax(Q K^T / sqrt(width) + bias) V in float64."""
    texts, tokens, _ = qkv.shape
    query, key, value = qkv.astype(np.float64).reshape(texts, tokens, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1])
    scores += 0 if bias is None else bias
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: Array = (powers / powers.sum(axis=-1, keepdims=True) @ value).swapaxes(1, 2).reshape(texts, tokens, -1)
    return result


@pytest.mark.parametrize("width", WIDTHS)
@settings(max_examples=20, deadline=None)
@given(texts=st.integers(1, 3), tokens=st.integers(1, 150), heads=st.integers(1, 4), biased=st.booleans(), seed=SEEDS)
def test_attention_is_exact_to_a_millionth(width: int, texts: int, tokens: int, heads: int, seed: int, *, biased: bool) -> None:
    """Held against numpy in float64; and a text alone has the bits that it has among others."""
    generator = np.random.default_rng(seed)
    qkv = normal(generator, texts, tokens, 3 * heads * width)
    bias = normal(generator, 1, heads, tokens, tokens) if biased else None
    found = attention(qkv, heads, bias)
    np.testing.assert_allclose(found, attended(qkv, heads, bias), rtol=0, atol=2e-6)
    place = int(generator.integers(texts))
    assert attention(qkv[place : place + 1], heads, bias)[0].tobytes() == found[place].tobytes()


@pytest.mark.parametrize("width", WIDTHS)
def test_attention_to_very_large_scores_takes_the_largest(width: int) -> None:
    """Where one key is far above all others, its value comes back, bit for bit; very negative scores are no trouble either."""
    tokens, generator = 37, np.random.default_rng(width)
    qkv = np.zeros((1, tokens, 3, 1, width), F32)
    qkv[0, :, 2, 0] = values = normal(generator, tokens, width)
    chosen = generator.permutation(tokens)
    bias = np.full((1, 1, tokens, tokens), F32(-3e37))
    bias[0, 0, np.arange(tokens), chosen] = 1e30
    assert np.array_equal(attention(qkv.reshape(1, tokens, -1), 1, bias)[0], values[chosen])

    qkv[0, :, :2, 0] = 1e4 * np.where(np.arange(tokens) % 2, 1, -1)[:, np.newaxis, np.newaxis]  # each attends to its own half
    found = attention(qkv.reshape(1, tokens, -1), 1)
    np.testing.assert_allclose(found, attended(qkv.reshape(1, tokens, -1), 1), rtol=0, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(width=st.sampled_from(WIDTHS), tokens=st.integers(1, 150), seed=SEEDS)
def test_a_query_s_attention_does_not_depend_on_the_other_queries_and_heads(width: int, tokens: int, seed: int) -> None:
    """With all of these changed it has the same bits."""
    generator = np.random.default_rng(seed)
    qkv = normal(generator, 1, tokens, 3, 3, width)
    head, token = int(generator.integers(3)), int(generator.integers(tokens))
    other = normal(generator, *qkv.shape)
    other[0, token, 0, head] = qkv[0, token, 0, head]
    other[0, :, 1:, head] = qkv[0, :, 1:, head]
    one, two = (attention(each.reshape(1, tokens, -1), 3).reshape(tokens, 3, width) for each in (qkv, other))
    assert one[token, head].tobytes() == two[token, head].tobytes()


# --- AddNorm and Mean -------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    width=st.one_of(st.integers(1, 70), st.sampled_from([384, 1023])),
    rows=st.integers(1, 20),
    epsilon=st.sampled_from([1e-12, 1e-5, 0.1]),
    seed=SEEDS,
)
def test_add_norm_is_exact_to_a_millionth_and_each_row_s_own(width: int, rows: int, epsilon: float, seed: int) -> None:
    """Held against numpy in float64; and a row alone has the bits that it has among others."""
    generator = np.random.default_rng(seed)
    one, other = normal(generator, 1, rows, width), 3 + normal(generator, 1, rows, width)
    gamma, beta = normal(generator, width), normal(generator, width)
    found = run("AddNorm", one=one, other=other, gamma=gamma, beta=beta, epsilon=epsilon)

    added = (one + other).astype(np.float64)
    centred = added - added.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + epsilon)
    # The mean is rounded to a step of float32, which counts for more the less the numbers differ.
    np.testing.assert_allclose(found, centred / deviation * gamma + beta, rtol=2e-6, atol=2e-6 * max(1, 1 / deviation.min()))

    place = int(generator.integers(rows))
    one, other = (each[:, place : place + 1] for each in (one, other))
    alone = run("AddNorm", one=one, other=other, gamma=gamma, beta=beta, epsilon=epsilon)
    assert alone[0, 0].tobytes() == found[0, place].tobytes()


def test_the_second_of_add_norm_s_inputs_comes_again_for_each_text() -> None:
    """As places do, which are the same for all texts of a length."""
    generator = np.random.default_rng(4)
    texts, places, gamma, beta = (normal(generator, *shape) for shape in ((3, 5, 19), (1, 5, 19), (19,), (19,)))
    once = run("AddNorm", one=texts, other=places, gamma=gamma, beta=beta, epsilon=1e-12)
    each = run("AddNorm", one=texts, other=np.repeat(places, 3, axis=0), gamma=gamma, beta=beta, epsilon=1e-12)
    assert once.tobytes() == each.tobytes()


@settings(max_examples=50, deadline=None)
@given(width=st.integers(1, 70), tokens=st.integers(1, 150), texts=st.integers(1, 3), seed=SEEDS)
def test_mean_sums_each_text_s_tokens_in_their_order(width: int, tokens: int, texts: int, seed: int) -> None:
    """In float32, and divides by how many they are."""
    values = normal(np.random.default_rng(seed), texts, tokens, width)
    expected = np.cumsum(values, axis=1)[:, -1] / F32(tokens)
    assert expected.dtype == F32
    assert np.array_equal(run("Mean", values=values), expected)


# --- Refusals ---------------------------------------------------------------------------------------------


def zeros(*shape: int) -> Array:
    """Numbers of no interest."""
    return np.zeros(shape, F32)


def weights(*shape: int) -> Array:
    """Weights in bytes, of no interest either."""
    return np.zeros(shape, np.uint8)


FITTING: Mapping[str, Mapping[str, Any]] = {
    "Linear": {
        "rows": zeros(1, 3, 20),
        "weights": packed(np.ones((20, 70), np.int8)),
        "scales": zeros(70),
        "bias": zeros(70),
        "smoothing": zeros(20),
        "gelu": 0,
    },
    "Attention": {"qkv": zeros(1, 5, 96), "bias": zeros(1, 4, 5, 5), "heads": 4},
    "AddNorm": {"one": zeros(1, 3, 20), "other": zeros(1, 3, 20), "gamma": zeros(20), "beta": zeros(20), "epsilon": 1e-5},
    "Mean": {"values": zeros(1, 3, 20)},
}
OTHER_INPUTS = "Linear: the weights are for another number of inputs"
OTHER_OUTPUTS = "Linear: the weights are for another number of outputs than the bias"
OTHER_SCALES = "Linear: scales or smoothing have another size than the weights"
NOT_PACKED = "Linear: weights are not (outputs / 16, blocks, block / 4, 16, 4)"
OTHER_WIDTH = "Attention: the width is no multiple of 3 times the heads"
OTHER_BIAS = "Attention: the bias is not (1, heads, tokens, tokens)"
OTHER_SIZES = "AddNorm: the inputs do not fit each other"
OTHER_GAMMA = "AddNorm: gamma or beta has another size than a row"
NOT_TEXTS = "the input is not (texts, tokens, "
TOO_MANY_DIMENSIONS = "an input has more dimensions than any input of this operator"
LEFT_OUT = None

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Linear", {"weights": packed(np.ones((16, 70), np.int8))}, OTHER_INPUTS),
    ("Linear", {"weights": packed(np.ones((24, 70), np.int8))}, OTHER_INPUTS),
    ("Linear", {"weights": packed(np.ones((400, 70), np.int8))}, OTHER_INPUTS),
    ("Linear", {"weights": weights(2, 0, 5, 16, 4)}, OTHER_INPUTS),
    ("Linear", {"rows": zeros(1, 3, 1), "smoothing": zeros(1), "weights": weights(2, 2, 1, 16, 4)}, OTHER_INPUTS),
    ("Linear", {"rows": zeros(1, 3, 0), "smoothing": zeros(0)}, OTHER_INPUTS),
    ("Linear", {"rows": zeros()}, OTHER_INPUTS),
    ("Linear", {"rows": zeros(1, 70_000), "weights": weights(2, 1, 17_500, 16, 4)}, "Linear: there are more than 65536 inputs"),
    ("Linear", {"rows": zeros(1, 1, 1, 1, 3, 20)}, TOO_MANY_DIMENSIONS),
    ("Linear", {"weights": packed(np.ones((20, 64), np.int8))}, OTHER_OUTPUTS),
    ("Linear", {"weights": packed(np.ones((20, 129), np.int8))}, OTHER_OUTPUTS),
    ("Linear", {"weights": weights(0, 1, 5, 16, 4)}, OTHER_OUTPUTS),
    ("Linear", {"bias": zeros(0)}, OTHER_OUTPUTS),
    ("Linear", {"weights": weights(20, 70)}, NOT_PACKED),
    ("Linear", {"weights": weights(5, 1, 5, 4, 16)}, NOT_PACKED),
    ("Linear", {"weights": np.zeros((2, 1, 5, 16, 4), np.int8)}, "Type 'tensor(int8)' of input parameter"),
    ("Linear", {"bias": zeros(69)}, OTHER_SCALES),
    ("Linear", {"scales": zeros(69)}, OTHER_SCALES),
    ("Linear", {"smoothing": zeros(19)}, OTHER_SCALES),
    ("Linear", {"smoothing": LEFT_OUT}, "has input size 4 not in range [min=5, max=5]"),
    ("Linear", {"gelu": LEFT_OUT}, "'gelu'"),
    ("Attention", {"heads": 5}, OTHER_WIDTH),
    ("Attention", {"heads": 0}, OTHER_WIDTH),
    ("Attention", {"heads": -4}, OTHER_WIDTH),
    ("Attention", {"heads": LEFT_OUT}, "'heads'"),
    ("Attention", {"qkv": zeros(1, 5, 95)}, OTHER_WIDTH),
    ("Attention", {"qkv": zeros(1, 5, 0)}, OTHER_WIDTH),
    ("Attention", {"qkv": zeros(5, 96)}, NOT_TEXTS),
    ("Attention", {"qkv": zeros(1, 1, 5, 96)}, NOT_TEXTS),
    ("Attention", {"bias": zeros(1, 3, 5, 5)}, OTHER_BIAS),
    ("Attention", {"bias": zeros(1, 4, 6, 6)}, OTHER_BIAS),
    ("Attention", {"bias": zeros(1, 4, 0, 0)}, OTHER_BIAS),
    ("Attention", {"bias": zeros()}, OTHER_BIAS),
    ("AddNorm", {"other": zeros(1, 2, 20)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros(1, 0, 20)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros(1, 6, 20)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros(1, 20, 3)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros()}, OTHER_SIZES),
    ("AddNorm", {"one": zeros(1, 3, 0), "other": zeros(1, 3, 0)}, OTHER_SIZES),
    ("AddNorm", {"gamma": zeros(19)}, OTHER_GAMMA),
    ("AddNorm", {"beta": zeros(21)}, OTHER_GAMMA),
    ("AddNorm", {"epsilon": LEFT_OUT}, "'epsilon'"),
    ("Mean", {"values": zeros(3, 20)}, NOT_TEXTS),
    ("Mean", {"values": zeros(1, 1, 3, 20)}, NOT_TEXTS),
    ("Mean", {"values": zeros(1, 0, 20)}, "Mean: there is nothing in a text"),
]


@pytest.mark.parametrize("operator", FITTING)
def test_what_fits_is_computed(operator: str) -> None:
    """Or else the refusals below would show nothing."""
    assert np.isfinite(run(operator, **FITTING[operator])).all()


@pytest.mark.parametrize(("operator", "changes", "sentence"), REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(operator: str, changes: dict[str, Any], sentence: str) -> None:
    """An exception, before anything is computed."""
    given = {name: value for name, value in {**FITTING[operator], **changes}.items() if value is not LEFT_OUT}
    with pytest.raises(Exception, match=r"\[ONNXRuntimeError\]") as raised:
        run(operator, **given)
    assert sentence in str(raised.value)
