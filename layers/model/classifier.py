"""Write a cross-encoder's classifier into a graph: from the tokens' vectors to one number, the pair's score.

In int8, the score of a known family has the same bits in any batch and on every processor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from layers.model.cross_encoders import Classifier
from layers.model.graph import Graph
from layers.model.needed_tokens import NeededTokens
from layers.model.precision import Array, Linear, Norm, Precision

SCORE = "score"
"""The graph's output: the score of each pair (texts, 1)."""


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """A classifier with its tensors. `epsilon` is that of its norm."""

    classifier: Classifier
    tensors: Mapping[str, Array]
    epsilon: float

    @property
    def takes_several(self) -> bool:
        """True: one run can take several pairs without changing a bit of any score."""
        return True

    @property
    def needed(self) -> NeededTokens | None:
        """The tokens whose vectors the encoder must compute; None if it is all of them."""
        return None if self.classifier.pooling == "mean" else NeededTokens(count=1)

    def write(self, graph: Graph, tokens: str, precision: Precision) -> None:
        """Write the classifier of the token vectors `tokens` (texts, tokens, hidden), and the output SCORE (texts, 1)."""
        classifier = self.classifier
        axis = graph.constant("score.axis", np.array([1], np.int64))
        pooled = self._pooled(graph, tokens, precision, axis)
        weight, bias = self.tensors[f"{classifier.dense}.weight"], self.tensors.get(f"{classifier.dense}.bias")
        own = OWN_ACTIVATIONS.get(classifier.activation)
        activation = "linear" if own else classifier.activation
        dense = Linear("score.dense", np.ascontiguousarray(weight.T), bias, outliers=True, activation=activation)
        value = precision.linear(graph, pooled, dense)
        value = own(graph, "score.active", value) if own else value
        if name := classifier.norm:
            norm = Norm("score.norm", self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), self.epsilon)
            value = precision.norm(graph, value, norm)
        weights = graph.constant("score.weights", np.ascontiguousarray(self.tensors[f"{classifier.projection}.weight"].T))
        product = precision.product(graph, "score.product", graph.op("score.flat", "Squeeze", value, axis), weights)
        graph.op(SCORE, "Add", product, graph.constant("score.bias", self.tensors[f"{classifier.projection}.bias"]))
        graph.output(SCORE, ["texts", 1])

    def _pooled(self, graph: Graph, tokens: str, precision: Precision, axis: str) -> str:
        """Write the vector that is classified (texts, 1, hidden): the first token's, or the mean of all."""
        if self.classifier.pooling == "mean":
            return graph.op("score.pooled", "Unsqueeze", precision.mean(graph, "score.mean", tokens), axis)
        start = graph.constant("score.start", np.array([0], np.int64))
        return graph.op("score.first", "Slice", tokens, start, axis, axis)  # from 0 to 1 along the axis 1


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


OWN_ACTIVATIONS: Mapping[str, Callable[[Graph, str, str], str]] = {"tanh": _tanh}
"""The writers of activations of which ONNX Runtime's operators give other bits on other processors; precisions write the others."""
