"""Write a cross-encoder's classifier into a graph: from the first token's vector to one number, the pair's score.

Everything but the first linear layer is written so that the score has the same bits in any batch and on every processor, if the
encoder's states have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from layers.model.activations import RELU
from layers.model.cross_encoders import Classifier
from layers.model.graph import Graph
from layers.model.precision import Array, Linear, Precision

SCORE = "score"
"""The graph's output: the score of each pair (texts, 1)."""


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """A classifier with its tensors."""

    classifier: Classifier
    tensors: Mapping[str, Array]

    @property
    def takes_several(self) -> bool:
        """True: one run can take several pairs without changing a bit of any score."""
        return True

    def write(self, graph: Graph, tokens: str, precision: Precision) -> None:
        """Write the classifier of the token vectors `tokens` (texts, tokens, hidden), and the output SCORE (texts, 1)."""
        ends = (("from", 0), ("to", 1), ("axis", 1))
        first = graph.op(
            "score.first", "Slice", tokens, *(graph.constant(f"score.{name}", np.array([at], np.int64)) for name, at in ends)
        )
        weight, bias = (self.tensors[f"{self.classifier.dense}.{part}"] for part in ("weight", "bias"))
        dense = precision.linear(graph, first, Linear("score.dense", np.ascontiguousarray(weight.T), bias, outliers=True))
        active = ACTIVATIONS[self.classifier.activation](graph, "score.active", dense)
        self._project(graph, active, precision)
        graph.output(SCORE, ["texts", 1])

    def _project(self, graph: Graph, active: str, precision: Precision) -> None:
        """Write the products with the last layer's weights, and their sum: the mean of the products with weights times `hidden`.

        The mean is the one sum that every precision writes for vectors. That of int8 is portable.
        """
        weight, bias = (self.tensors[f"{self.classifier.projection}.{part}"] for part in ("weight", "bias"))
        hidden = weight.shape[1]
        weights = graph.constant("score.weights", (weight[0].astype(np.float64) * hidden).astype(np.float32))
        products = graph.op("score.products", "Mul", active, weights)
        one, two = (graph.constant(f"score.axis.{axis}", np.array([axis], np.int64)) for axis in (1, 2))
        rows = graph.op("score.rows", "Unsqueeze", graph.op("score.flat", "Squeeze", products, one), two)
        graph.op(SCORE, "Add", precision.mean(graph, "score.sum", rows), graph.constant("score.bias", bias))


LARGEST = 10.0
"""The tangent of a larger number is 1 in float32."""
HALVINGS = 3
ODD = (9, 7, 5, 3, 1)
"""The denominators of the continued fraction. For numbers up to LARGEST / 2**HALVINGS, these are enough for float32."""


def _tanh(graph: Graph, name: str, value: str) -> str:
    """Write the hyperbolic tangent by additions and divisions, which every processor rounds in the same way.

    It is Lambert's continued fraction x / (1 + x² / (3 + x² / (5 + …))) of an eighth of the value, and three times
    tanh(2x) = 2 tanh(x) / (1 + tanh(x)²).
    """
    number: Callable[[str, float], str] = partial(_number, graph, name)
    op = graph.op
    above = op(f"{name}.above", "Max", value, number("least", -LARGEST))
    below = op(f"{name}.below", "Min", above, number("most", LARGEST))
    x = op(f"{name}.x", "Mul", below, number("share", 0.5**HALVINGS))
    square = op(f"{name}.square", "Mul", x, x)
    fraction = number(f"odd.{ODD[0]}", ODD[0])
    for odd in ODD[1:]:
        ratio = op(f"{name}.ratio.{odd}", "Div", square, fraction)
        fraction = op(f"{name}.fraction.{odd}", "Add", ratio, number(f"odd.{odd}", odd))
    result = op(f"{name}.tanh.0", "Div", x, fraction)
    for turn in range(1, HALVINGS + 1):
        double = op(f"{name}.double.{turn}", "Add", result, result)
        whole = op(f"{name}.whole.{turn}", "Add", op(f"{name}.square.{turn}", "Mul", result, result), number(f"odd.{1}", 1))
        result = op(f"{name}.tanh.{turn}", "Div", double, whole)
    return result


def _number(graph: Graph, name: str, part: str, value: float) -> str:
    return graph.constant(f"{name}.{part}", np.array(value, np.float32))


ACTIVATIONS: Mapping[str, Callable[[Graph, str, str], str]] = {"tanh": _tanh, "relu": RELU}
"""The writers of a classifier's activations."""
