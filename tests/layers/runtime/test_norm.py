"""Norm, run by ONNX Runtime with each set of kernels, is compared with numpy's, and with AddNorm."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.runtime import reference
from tests.layers.runtime.operators import Array, Operators

F32 = np.float32
SEEDS = st.integers(0, 2**32 - 1)
WIDTHS = st.one_of(st.integers(1, 140), st.sampled_from([384, 768, 1023]))
CENTERED = st.integers(0, 1)


def normal(generator: np.random.Generator, *shape: int) -> Array:
    """Return random numbers around 0."""
    return generator.normal(0, 1, shape).astype(F32)


def drawn(seed: int, rows: int, width: int) -> tuple[Array, Array, Array | None]:
    """Return rows whose mean is not 0, gamma, and beta or None."""
    generator = np.random.default_rng(seed)
    values = 2 + normal(generator, 1, rows, width) * np.exp2(generator.integers(-9, 9, (rows, 1))).astype(F32)
    return values, normal(generator, width), normal(generator, width) if seed % 2 else None


@settings(max_examples=30, deadline=None)
@given(width=WIDTHS, rows=st.integers(1, 20), epsilon=st.sampled_from([1e-12, 1e-6, 0.1]), centered=CENTERED, seed=SEEDS)
def test_norm_is_exact_to_a_millionth_and_no_row_depends_on_another(
    operators: Operators, width: int, rows: int, epsilon: float, centered: int, seed: int
) -> None:
    """The reference is numpy in float64. A row has the same bits alone as among other rows, and with every set of kernels."""
    values, gamma, beta = drawn(seed, rows, width)
    given: dict[str, Any] = {"gamma": gamma, "beta": beta, "epsilon": epsilon, "centered": centered}
    found = operators.run("Norm", values=values, **given)
    exact = reference.norm(values, gamma, beta, epsilon=epsilon, centered=centered)
    # The mean is rounded to a step of float32, which counts for more the less the numbers differ.
    spread = np.sqrt(values.astype(np.float64).var(axis=-1, keepdims=True) + epsilon)
    tolerance = 4e-6 * np.maximum(1, np.abs(values).max(axis=-1, keepdims=True) / spread if centered else 1)
    assert (np.abs(found - exact) <= tolerance * np.maximum(1, np.abs(exact))).all()
    place = seed % rows
    alone = operators.run("Norm", values=values[:, place : place + 1], **given)
    assert alone[0, 0].tobytes() == found[0, place].tobytes()
    assert Operators().run("Norm", values=values, **given).tobytes() == found.tobytes()


@settings(max_examples=15, deadline=None)
@given(width=WIDTHS, rows=st.integers(1, 20), seed=SEEDS)
def test_layer_norm_agrees_with_add_norm_of_zeros(operators: Operators, width: int, rows: int, seed: int) -> None:
    """Families with the norm before the layer use Norm where others use AddNorm. Without `centered`, Norm is LayerNorm."""
    generator = np.random.default_rng(seed)
    values, gamma, beta = normal(generator, 1, rows, width), normal(generator, width), normal(generator, width)
    added = operators.add_norm(values, np.zeros_like(values), gamma, beta, 1e-5)
    found = operators.run("Norm", values=values, gamma=gamma, beta=beta, epsilon=1e-5)
    np.testing.assert_allclose(found, added, rtol=0, atol=1e-5)


@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("width", [1, 17, 64, 200])
def test_a_row_of_zeros_becomes_beta_in_norm(operators: Operators, width: int, centered: int) -> None:
    """Epsilon keeps it from being divided by zero."""
    generator = np.random.default_rng(1)
    gamma, beta = normal(generator, width), normal(generator, width)
    given: dict[str, Any] = {"values": np.zeros((3, width), F32), "gamma": gamma, "epsilon": 1e-6, "centered": centered}
    assert np.array_equal(operators.run("Norm", **given), np.zeros((3, width), F32))
    with_beta = operators.run("Norm", values=given.pop("values"), gamma=given.pop("gamma"), beta=beta, **given)
    assert np.array_equal(with_beta, np.stack([beta] * 3))


@settings(max_examples=20, deadline=None)
@given(
    width=WIDTHS,
    rows=st.integers(1, 20),
    special=st.sampled_from([np.nan, -np.nan, np.inf, -np.inf, 3e38]),
    centered=CENTERED,
    seed=SEEDS,
)
def test_a_row_that_is_not_finite_becomes_nan_in_norm_and_no_other_row_does(
    operators: Operators, width: int, rows: int, special: float, centered: int, seed: int
) -> None:
    """The squares of 3e38 are too large for a float: the other numbers of the row would become 0 unnoticed."""
    values, gamma, beta = drawn(seed, rows, width + 1)
    given: dict[str, Any] = {"gamma": gamma, "beta": beta, "epsilon": 1e-5, "centered": centered}
    expected = operators.run("Norm", values=values, **given)
    place = seed % rows
    values[0, place, seed % width] = special
    expected[0, place] = np.nan
    np.testing.assert_array_equal(operators.run("Norm", values=values, **given), expected)


@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (5,), (3, 101, 600), (1, 2, 3, 4, 5)])
def test_threads_and_dimensions_change_no_bit_of_norm(operators: Operators, threads: int, shape: tuple[int, ...]) -> None:
    """The largest of these is shared between threads. There may be no rows."""
    generator = np.random.default_rng(1)
    shape = (*shape[:-1], max(1, shape[-1]))
    values, gamma, beta = normal(generator, *shape), normal(generator, shape[-1]), normal(generator, shape[-1])
    given: dict[str, Any] = {"values": values, "gamma": gamma, "beta": beta, "epsilon": 1e-5, "centered": 0}
    shared = replace(operators, threads=threads, intra_op_threads=min(threads, 3)).run("Norm", **given)
    assert shared.shape == values.shape
    assert shared.tobytes() == operators.run("Norm", **given).tobytes()
