"""Rotate, run by ONNX Runtime with each set of kernels, is compared with numpy's complex numbers."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.runtime import reference
from tests.layers.runtime.operators import Operators

F32 = np.float32


@dataclass(frozen=True)
class Shape:
    """The sizes of an example: `group` query heads share a key head, and twice `half` numbers of a head are rotated."""

    texts: int
    tokens: int
    key_value_heads: int
    group: int
    width: int
    half: int
    gammas: tuple[bool, bool]
    seed: int

    @property
    def heads(self) -> int:
        """The number of query heads."""
        return self.key_value_heads * self.group

    def inputs(self) -> dict[str, Any]:
        """Return random inputs. The table has three positions more than there are tokens."""
        generator = np.random.default_rng(self.seed)
        numbers = (self.heads + 2 * self.key_value_heads) * self.width
        qkv = generator.normal(0, 1, (self.texts, self.tokens, numbers)).astype(F32)
        angles = np.arange(self.tokens + 3)[:, np.newaxis] * generator.uniform(0, 1, self.half)
        table = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(F32)
        gammas = [generator.normal(0, 1, self.width).astype(F32) if given else None for given in self.gammas]
        return {"qkv": qkv, "table": table, "query_gamma": gammas[0], "key_gamma": gammas[1], **self.attributes()}

    def attributes(self) -> dict[str, float]:
        """Return the attributes. Those that have their default are left out of some examples."""
        grouped = {} if self.group == 1 and self.seed % 2 else {"key_value_heads": self.key_value_heads}
        return {"heads": self.heads, **grouped, **({"epsilon": 1e-6} if any(self.gammas) else {})}


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Draw the sizes of an example, with odd widths and odd halves."""
    width = draw(st.one_of(st.integers(1, 70), st.sampled_from([32, 64, 128, 256])))
    return Shape(
        texts=draw(st.integers(1, 3)),
        tokens=draw(st.integers(1, 20)),
        key_value_heads=draw(st.integers(1, 3)),
        group=draw(st.integers(1, 3)),
        width=width,
        half=draw(st.sampled_from([width // 2, width // 4, 0])),
        gammas=draw(st.tuples(st.booleans(), st.booleans())),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


SHAPE = Shape(texts=2, tokens=5, key_value_heads=2, group=3, width=38, half=17, gammas=(True, True), seed=1)


@settings(max_examples=40, deadline=None)
@given(shape=shapes())
def test_rotate_is_exact_to_a_millionth_and_no_text_depends_on_another(operators: Operators, shape: Shape) -> None:
    """A text has the same bits alone as among other texts, and with every set of kernels. Values keep their bits."""
    inputs = shape.inputs()
    found = operators.run("Rotate", **inputs)
    np.testing.assert_allclose(found, reference.rotate(**inputs), rtol=2e-6, atol=4e-6)
    values = shape.key_value_heads * shape.width
    assert found[..., -values:].tobytes() == inputs["qkv"][..., -values:].tobytes()
    assert Operators().run("Rotate", **inputs).tobytes() == found.tobytes()
    place = shape.seed % shape.texts
    alone = operators.run("Rotate", **{**inputs, "qkv": inputs["qkv"][place : place + 1]})
    assert alone[0].tobytes() == found[place].tobytes()


@settings(max_examples=20, deadline=None)
@given(shape=shapes(), special=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_nan_makes_its_pair_or_its_normalized_head_nan_and_nothing_else(
    operators: Operators, shape: Shape, special: float
) -> None:
    """An infinity does too, except that one without a partner, or that is only copied, stays an infinity."""
    inputs = shape.inputs()
    expected = operators.run("Rotate", **inputs)
    numbers = inputs["qkv"].shape[-1]
    place = (shape.seed % shape.texts, shape.seed % shape.tokens, shape.seed % numbers)
    inputs["qkv"][place] = special
    found = operators.run("Rotate", **inputs)
    head, number = divmod(place[2], shape.width)
    is_normalized = head < shape.heads + shape.key_value_heads and shape.gammas[head >= shape.heads]
    changed = np.zeros(expected.shape, dtype=bool)
    start = head * shape.width
    if is_normalized:
        changed[place[0], place[1], start : start + shape.width] = True
    elif head < shape.heads + shape.key_value_heads and number < 2 * shape.half:
        pair = number % shape.half
        changed[place[0], place[1], [start + pair, start + pair + shape.half]] = True
    else:
        changed[place] = True
    assert not np.isfinite(found[changed]).any()
    assert np.isnan(found[changed]).all() or np.isinf(special)
    np.testing.assert_array_equal(found[~changed], expected[~changed])


def test_the_first_position_changes_nothing_without_norms(operators: Operators) -> None:
    """Its angles are 0."""
    inputs = replace(SHAPE, gammas=(False, False)).inputs()
    found = operators.run("Rotate", **inputs)
    assert np.array_equal(found[:, 0], inputs["qkv"][:, 0])
    assert not np.array_equal(found[:, 1], inputs["qkv"][:, 1])


def test_a_head_of_zeros_stays_zeros(operators: Operators) -> None:
    """Epsilon keeps its norm from being divided by zero."""
    inputs = SHAPE.inputs()
    inputs["qkv"][:] = 0
    assert np.array_equal(operators.run("Rotate", **inputs), inputs["qkv"])


@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize(("texts", "tokens", "group"), [(0, 5, 3), (2, 0, 3), (1, 1, 1), (3, 61, 3), (1, 200, 2)])
def test_threads_change_no_bit_of_rotate(operators: Operators, threads: int, texts: int, tokens: int, group: int) -> None:
    """The last two are shared between threads. There may be no texts, and no tokens."""
    inputs = replace(SHAPE, texts=texts, tokens=tokens, group=group, width=150, half=64).inputs()
    shared = replace(operators, threads=threads, intra_op_threads=min(threads, 3)).run("Rotate", **inputs)
    assert shared.shape == inputs["qkv"].shape
    assert shared.tobytes() == operators.run("Rotate", **inputs).tobytes()
