"""Weights of 4 bits compute what they should, and fitting them to a layer's inputs reduces the error."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from layers.model.graph import Graph
from layers.model.int4 import BLOCK, LARGEST, Blocks, Int4, Moments
from layers.model.precision import Linear

GENERATOR = np.random.default_rng(11)


def inputs(count: int, width: int) -> np.ndarray:
    """Return correlated inputs of a layer with a mean that is not zero, like those of trained models."""
    causes = GENERATOR.normal(size=(count, width // 4))
    return (causes @ GENERATOR.normal(size=(width // 4, width)) + 3 * np.ones(width)).astype(np.float32)


def weight(width: int, outputs: int) -> np.ndarray:
    """Return random weights."""
    return GENERATOR.normal(size=(width, outputs)).astype(np.float32)


def moments(values: np.ndarray) -> Moments:
    """Return the moments as calibration measures them."""
    return Moments(values.mean(axis=0).astype(np.float32), np.cov(values.T.astype(np.float64), bias=True))


def nearest(values: np.ndarray) -> np.ndarray:
    """Return `values` (inputs, outputs) as blocks in which each number is rounded to the nearest, as for uncorrelated inputs."""
    return Blocks.fitted(values, np.eye(len(values))).weight()


def test_fitting_to_the_inputs_loses_less_than_half_of_what_rounding_does() -> None:
    """Return the error as a share of the outputs' variance, on inputs that were not used for fitting."""
    seen, other = np.split(inputs(4000, 96), 2)
    weights = weight(96, 48)
    fitted = Blocks.fitted(weights, moments(seen).covariance).weight()
    lost = {name: np.var(other @ (weights - made), axis=0).sum() for name, made in (("fit", fitted), ("round", nearest(weights)))}
    assert lost["fit"] < lost["round"] / 2


def test_a_number_is_one_of_sixteen_and_no_step_from_what_it_stands_for() -> None:
    """That holds if the whole range of a block is kept. A smaller range clips the largest weights."""
    weights = weight(BLOCK, 200)
    blocks = Blocks.fitted(weights, np.eye(BLOCK))
    assert blocks.numbers.max() <= LARGEST
    assert np.abs(blocks.weight() - weights).mean() < blocks.scales.mean() / 2


def test_weights_that_are_zero_or_equal_stay_so() -> None:
    """A block without a range has no scale to divide by."""
    for value in (0.0, 0.25, -0.25):
        weights = np.full((BLOCK + 5, 3), value, np.float32)
        np.testing.assert_allclose(Blocks.fitted(weights, np.zeros((BLOCK + 5, BLOCK + 5))).weight(), weights, atol=1e-6)


@pytest.mark.parametrize("width", [32, 40, 96, 128])
def test_the_operator_computes_with_the_weights_that_the_numbers_stand_for(width: int, tmp_path: Path) -> None:
    """It holds for whole and partial blocks, and odd and even numbers of them. The mean output is that of the exact layer."""
    given, weights = np.rint(inputs(200, width)), weight(width, 24)
    bias = GENERATOR.normal(size=24).astype(np.float32)
    graph = Graph()
    value = graph.cast("value", graph.input("whole", ["rows", width]))
    layer = Int4(iter([("layer", moments(given))])).linear(graph, value, Linear("layer", weights, bias))
    graph.output(layer, ["rows", 24])
    graph.write(tmp_path / "model.onnx", "weights")
    (found,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run([layer], {"whole": given.astype(np.int64)})
    stored = Blocks.fitted(weights, moments(given).covariance).weight()
    expected = given @ stored + bias + given.mean(axis=0) @ (weights - stored)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()  # the operator rounds its inputs to 8 bits
    np.testing.assert_allclose(found.mean(axis=0), (given @ weights + bias).mean(axis=0), rtol=0.02, atol=0.02)


def test_moments_of_another_layer_are_refused() -> None:
    """Moments come in the order of the graph. Nothing else would detect another order."""
    quantizer = Int4(iter([("f1", Moments(np.zeros(4, np.float32), np.eye(4)))]))
    with pytest.raises(ValueError, match="the moments are of f1, the layer is f2"):
        quantizer.linear(Graph(), "value", Linear("f2", weight(4, 4), np.zeros(4, np.float32)))
