"""Gate, run by ONNX Runtime with each set of kernels, is compared with its definition in float64."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.runtime import reference
from tests.layers.runtime.operators import Operators

F32 = np.float32
ACTIVATION = st.sampled_from(range(len(reference.ACTIVATIONS)))


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 20), width=st.integers(1, 140), activation=ACTIVATION, seed=st.integers(0, 2**32 - 1))
def test_gate_is_exact_to_a_millionth_and_no_row_depends_on_another(
    operators: Operators, rows: int, width: int, activation: int, seed: int
) -> None:
    """A row has the same bits alone as among other rows, and with every set of kernels."""
    values = np.random.default_rng(seed).normal(0, 3, (1, rows, 2 * width)).astype(F32)
    found = operators.run("Gate", values=values, activation=activation)
    np.testing.assert_allclose(found, reference.gate(values, activation), rtol=1e-6, atol=2e-6)
    assert Operators().run("Gate", values=values, activation=activation).tobytes() == found.tobytes()
    place = seed % rows
    alone = operators.run("Gate", values=values[:, place : place + 1], activation=activation)
    assert alone[0, 0].tobytes() == found[0, place].tobytes()


@pytest.mark.parametrize("activation", range(len(reference.ACTIVATIONS)))
def test_activations_are_exact_to_a_millionth_of_their_argument(operators: Operators, activation: int) -> None:
    """Very small and very large numbers are among the arguments."""
    large = np.geomspace(30, 3e38, 1000)
    small = np.geomspace(1e-40, 1, 1000)
    arguments = np.concatenate([np.linspace(-30, 30, 40_001), large, -large, small, -small, [0.0]]).astype(F32)
    found = operators.run("Gate", values=np.concatenate([arguments, np.ones_like(arguments)]), activation=activation)
    with np.errstate(over="ignore"):
        exact = reference.gate(np.concatenate([arguments, np.ones_like(arguments)]), activation)
    assert (np.abs(found - exact) <= 3e-7 * np.maximum(1, np.abs(exact)) + 2e-9 * np.abs(arguments)).all()


@pytest.mark.parametrize("activation", range(len(reference.ACTIVATIONS)))
@pytest.mark.parametrize("width", [1, 16, 37])
def test_a_nan_becomes_nan_in_gate_and_nothing_else_does(operators: Operators, width: int, activation: int) -> None:
    """It may be in either half."""
    values = np.random.default_rng(1).normal(0, 1, (5, 2 * width)).astype(F32)
    expected = operators.run("Gate", values=values, activation=activation)
    for column in (0, width - 1, width, 2 * width - 1):
        changed, told = values.copy(), expected.copy()
        changed[2, column] = np.nan
        told[2, column % width] = np.nan
        np.testing.assert_array_equal(operators.run("Gate", values=changed, activation=activation), told)


@pytest.mark.parametrize("activation", range(len(reference.ACTIVATIONS)))
def test_a_half_of_zeros_gives_zeros(operators: Operators, activation: int) -> None:
    """Each activation of zero is zero."""
    ones, zeros = np.ones((2, 19), F32), np.zeros((2, 19), F32)
    for halves in ((ones, zeros), (zeros, ones)):
        assert np.array_equal(operators.run("Gate", values=np.hstack(halves), activation=activation), zeros)


@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize("shape", [(0, 6), (2, 0, 6), (6,), (3, 101, 600), (1, 2, 3, 4, 6)])
def test_threads_and_dimensions_change_no_bit_of_gate(operators: Operators, threads: int, shape: tuple[int, ...]) -> None:
    """The largest of these is shared between threads. There may be no rows."""
    values = np.random.default_rng(1).normal(0, 1, shape).astype(F32)
    shared = replace(operators, threads=threads, intra_op_threads=min(threads, 3))
    found = shared.run("Gate", values=values, activation=1)
    assert found.shape == (*shape[:-1], shape[-1] // 2)
    assert found.tobytes() == operators.run("Gate", values=values, activation=1).tobytes()
