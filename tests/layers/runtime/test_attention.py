"""Attention with heads that share keys, windows, causal order, scales and slopes is compared with numpy's in float64."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.runtime import reference
from tests.layers.runtime.operators import Array, Operators

F32 = np.float32
WINDOWS = [1, 2, 3, 5, 6, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128]
"""Windows that end at every side of the borders of the kernels' tiles, of 4 and 6 queries and of 16 and 64 keys."""


@dataclass(frozen=True)
class Shape:
    """The sizes and attributes of an example: `group` query heads share their keys and values."""

    texts: int = 1
    tokens: int = 70
    key_value_heads: int = 1
    group: int = 1
    width: int = 20
    causal: int = 0
    window: int = 0
    scale: float = 0.0
    has_bias: bool = False
    has_slopes: bool = False
    seed: int = 1

    @property
    def heads(self) -> int:
        """The number of query heads."""
        return self.key_value_heads * self.group

    def inputs(self) -> dict[str, Any]:
        """Return random inputs and the attributes."""
        generator = np.random.default_rng(self.seed)

        def normal(*shape: int) -> Array:
            return generator.normal(0, 1, shape).astype(F32)

        numbers = (self.heads + 2 * self.key_value_heads) * self.width
        given = {
            "qkv": normal(self.texts, self.tokens, numbers),
            "bias": normal(1, self.heads, self.tokens, self.tokens) if self.has_bias else None,
            "slopes": np.abs(normal(self.heads)) if self.has_slopes else None,
        }
        attributes = {"key_value_heads": self.key_value_heads, "causal": self.causal, "window": self.window, "scale": self.scale}
        return {**given, "heads": self.heads, **attributes}


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Draw an example in which keys are hidden, shared or weighted."""
    return Shape(
        texts=draw(st.integers(1, 2)),
        tokens=draw(st.integers(1, 150)),
        key_value_heads=draw(st.integers(1, 3)),
        group=draw(st.integers(1, 3)),
        width=draw(st.sampled_from([1, 5, 16, 32, 40, 64, 80])),
        causal=draw(st.integers(0, 1)),
        window=draw(st.one_of(st.sampled_from([0, *WINDOWS]), st.integers(1, 200), st.just(2**31 - 1))),
        scale=draw(st.sampled_from([0.0, 1.0, 0.0625])),
        has_bias=draw(st.booleans()),
        has_slopes=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@settings(max_examples=60, deadline=None)
@given(shape=shapes())
def test_attention_with_all_its_attributes_is_exact_to_a_millionth(operators: Operators, shape: Shape) -> None:
    """A text has the same bits alone as among other texts, and with every set of kernels."""
    inputs = shape.inputs()
    found = operators.attention(**inputs)
    # Scores that are not divided by the root of the width are larger, and so are the errors of their float32.
    np.testing.assert_allclose(found, reference.attention(**inputs), rtol=0, atol=2e-5 if shape.scale == 1 else 3e-6)
    assert Operators().attention(**inputs).tobytes() == found.tobytes()
    place = shape.seed % shape.texts
    alone = operators.attention(**{**inputs, "qkv": inputs["qkv"][place : place + 1]})
    assert alone[0].tobytes() == found[place].tobytes()


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 33, 64, 65, 96, 97, 128, 200])
def test_windows_that_end_at_any_border_of_a_tile_are_exact(operators: Operators, tokens: int, causal: int) -> None:
    """Every window is computed for texts that end at borders, and next to them."""
    for window in WINDOWS:
        inputs = Shape(tokens=tokens, width=16, causal=causal, window=window).inputs()
        np.testing.assert_allclose(operators.attention(**inputs), reference.attention(**inputs), rtol=0, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(shape=shapes(), special=st.sampled_from([np.nan, np.inf, -np.inf, 3e38]), part=st.integers(1, 2))
def test_a_key_that_a_query_does_not_see_changes_no_bit_of_its_result(
    operators: Operators, shape: Shape, special: float, part: int
) -> None:
    """Not even if the key or its value is NaN. The queries that see it have it in their results."""
    inputs = replace(shape, texts=1).inputs()
    before = operators.attention(**inputs)
    key, head = shape.seed % shape.tokens, shape.seed % shape.key_value_heads
    column = (shape.heads + (part - 1) * shape.key_value_heads + head) * shape.width
    inputs["qkv"][0, key, column] = special
    found = operators.attention(**inputs)
    places = np.arange(shape.tokens)
    sees = (np.abs(places - key) <= (shape.window or shape.tokens)) & ((places >= key) | (not shape.causal))
    one, other = (each.reshape(shape.tokens, shape.key_value_heads, -1) for each in (before, found))
    assert np.array_equal(np.delete(one, head, axis=1), np.delete(other, head, axis=1))
    assert np.array_equal(one[~sees], other[~sees])
    if np.isnan(special):
        assert np.isnan(other[sees, head]).any(axis=-1).all()
    assert Operators().attention(**inputs).tobytes() == found.tobytes()


def test_a_window_as_large_as_the_text_is_none(operators: Operators) -> None:
    """The results have the same bits. With one token less in the window, they have not."""
    whole, *others = (operators.attention(**Shape(tokens=50, window=window).inputs()) for window in (0, 49, 50, 2**31 - 1, 48))
    assert [other.tobytes() == whole.tobytes() for other in others] == [True, True, True, False]


def test_attributes_with_their_defaults_change_no_bit(operators: Operators) -> None:
    """Graphs that were written before there were these attributes leave them out."""
    inputs = Shape(texts=2, key_value_heads=3, has_bias=True).inputs()
    written = operators.attention(**inputs)
    left_out = operators.run("Attention", qkv=inputs["qkv"], bias=inputs["bias"], heads=3)
    assert written.tobytes() == left_out.tobytes()
    assert operators.attention(**{**inputs, "slopes": np.zeros(3, F32)}).tobytes() == written.tobytes()


def test_heads_that_share_keys_have_the_bits_of_heads_with_copies_of_them(operators: Operators) -> None:
    """Each key and each value is repeated for every head of its group."""
    shape = Shape(texts=2, key_value_heads=2, group=3, window=20, has_slopes=True)
    inputs = shape.inputs()
    query, key, value = reference.split(inputs["qkv"], 6, 2)
    copies = np.concatenate([query, np.repeat(key, 3, axis=1), np.repeat(value, 3, axis=1)], axis=1)
    copied = {**inputs, "key_value_heads": 6, "qkv": np.ascontiguousarray(copies.swapaxes(1, 2)).reshape(2, 70, -1)}
    assert operators.attention(**copied).tobytes() == operators.attention(**inputs).tobytes()


def test_the_first_token_of_causal_attention_sees_itself_only(operators: Operators) -> None:
    """Its result is its value, bit for bit."""
    inputs = Shape(width=37, causal=1).inputs()
    assert np.array_equal(operators.attention(**inputs)[0, 0], inputs["qkv"][0, 0, 2 * 37 :])


@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize(
    "shape",
    [
        Shape(texts=0, tokens=9, group=2),
        Shape(texts=2, tokens=0, group=2),
        Shape(texts=3, tokens=90, group=4, width=64),
        Shape(texts=1, tokens=90, key_value_heads=3, group=3, width=64),
    ],
)
def test_threads_change_no_bit_of_attention(operators: Operators, threads: int, causal: int, shape: Shape) -> None:
    """Threads may divide the heads of a group. There may be no texts, and no tokens."""
    inputs = replace(shape, window=30, causal=causal, has_slopes=True).inputs()
    shared = replace(operators, threads=threads, intra_op_threads=min(threads, 3)).attention(**inputs)
    assert shared.shape == (shape.texts, shape.tokens, shape.heads * shape.width)
    assert shared.tobytes() == operators.attention(**inputs).tobytes()


def test_a_long_text_with_a_window_is_exact(operators: Operators) -> None:
    """The scores of a few queries for the keys in their window are in memory at a time, not those of 3,000 by 3,000."""
    inputs = Shape(tokens=3000, width=16, window=100).inputs()
    found, end = operators.attention(**inputs)[0, -50:], {**inputs, "qkv": inputs["qkv"][:, -150:]}
    np.testing.assert_allclose(found, reference.attention(**end)[0, -50:], rtol=0, atol=2e-6)
