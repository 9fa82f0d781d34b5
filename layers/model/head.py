"""Write the modules after the encoder into a graph: those on the tokens' vectors, Pooling, and those on the text's vector.

The graph contains them so that the handler needs no code for modules. Only the last Normalize is left to the handler, because a
request can decide about it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from layers.model.activations import DENSE
from layers.model.graph import Graph
from layers.model.module_types import Dense, LayerNorm, Module, Normalize, WordWeights
from layers.model.modules import Pooling
from layers.model.needed_tokens import NeededTokens
from layers.model.pooling import WHOLE, pooled
from layers.model.precision import Array, Precision

LAYER_NORM_EPSILON = 1e-5
"""The default of torch.nn.LayerNorm, which the module uses."""
EXACT_ACTIVATIONS = ("Identity", "ReLU")
"""The activations that round nothing."""
NORM_FLOOR = 1e-12
"""The default `eps` of torch.nn.functional.normalize: a vector of zeros stays zero."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A module with the tensors of its checkpoint."""

    module: Module
    tensors: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Head:
    """The modules after an encoder, `before` and `after` Pooling. A text's vector is truncated to `dimension` numbers."""

    before: Sequence[Layer]
    pooling: Pooling
    after: Sequence[Layer]
    dimension: int

    @property
    def takes_several(self) -> bool:
        """True if one run can take several texts without changing a bit of any vector.

        That is false where ONNX Runtime computes sums or functions: their bits depend on the number of texts. A precision for which
        a run can take several texts has a product of its own.
        """
        plain = self.pooling.include_prompt and not self.before and all(_is_exact(layer.module) for layer in self.after)
        return plain and set(self.pooling.modes) <= {"mean", *WHOLE}

    @property
    def needed(self) -> NeededTokens | None:
        """The tokens whose vectors the encoder must compute; None if it is all of them."""
        if self.before or not self.pooling.include_prompt:
            return None
        return NEEDED.get(tuple(self.pooling.modes))

    def write(self, graph: Graph, tokens: str, precision: Precision) -> None:
        """Write the modules for the token vectors `tokens` (texts, tokens, hidden).

        The graph gets the outputs `token_embeddings` (texts, tokens, hidden) and `pooled` (texts, dimension).
        """
        weight = ""
        for index, layer in enumerate(self.before):
            tokens = WRITERS[type(layer.module)](graph, f"tokens.{index}", tokens, layer, precision)
            if isinstance(layer.module, WordWeights):
                axis = graph.constant("token_axis", np.array([1], np.int64))
                weight = graph.op("tokens.weight", "ReduceSum", f"tokens.{index}.weights", axis, keepdims=0)
        tokens = graph.op("token_embeddings", "Identity", tokens)
        graph.output(tokens, ["texts", "tokens", self.pooling.hidden])
        pools = pooled(graph, tokens, precision, self.pooling, weight)
        whole = self._whole
        if not self.after and self.dimension == whole:
            graph.op("pooled", "Concat", *pools, axis=-1)
        else:
            vector = graph.op("pooled.modes", "Concat", *pools, axis=-1)
            for index, layer in enumerate(self.after):
                vector = WRITERS[type(layer.module)](graph, f"dense.{index}", vector, layer, precision)
            truncate(graph, vector, whole, self.dimension)
        graph.output("pooled", ["texts", self.dimension])

    @property
    def _whole(self) -> int:
        """The length of the last module's vectors."""
        given = [layer.module.outputs for layer in self.after if layer.module.outputs]
        return given[-1] if given else self.pooling.dimension


NEEDED: Mapping[tuple[str, ...], NeededTokens] = {("cls",): NeededTokens(), ("lasttoken",): NeededTokens(last=True)}
"""The tokens that a model needs, by its pooling modes."""


def truncate(graph: Graph, vector: str, whole: int, dimension: int) -> None:
    """Write `pooled`: the first `dimension` numbers of a vector (texts, whole)."""
    if dimension == whole:
        graph.op("pooled", "Identity", vector)
        return
    ends = [
        graph.constant(f"pooled.{name}", np.array([end], np.int64)) for name, end in (("from", 0), ("to", dimension), ("axis", 1))
    ]
    graph.op("pooled", "Slice", vector, *ends)


# --- Modules ----------------------------------------------------------------------------------------------


def _is_exact(module: Module) -> bool:
    """Return whether a module's result is the same wherever its product is."""
    return isinstance(module, Dense) and module.activation in EXACT_ACTIVATIONS


def _dense(graph: Graph, name: str, value: str, layer: Layer, precision: Precision) -> str:
    module = layer.module
    assert isinstance(module, Dense)  # noqa: S101 - WRITERS passes no other

    def product(result: str, constant: str, tensor: Array) -> str:
        return precision.product(graph, result, value, graph.constant(constant, np.ascontiguousarray(tensor.T)))

    result = product(f"{name}.product", f"{name}.weight", layer.tensors["linear.weight"])
    if module.bias:
        result = graph.op(f"{name}.linear", "Add", result, graph.constant(f"{name}.bias", layer.tensors["linear.bias"]))
    result = DENSE[module.activation](graph, f"{name}.result", result)
    if module.projects_residual:
        value = product(f"{name}.projected", f"{name}.residual", layer.tensors["residual.weight"])
    return graph.op(f"{name}.sum", "Add", result, value) if module.residual else result


def _layer_norm(graph: Graph, name: str, value: str, layer: Layer, _precision: Precision) -> str:
    weights = [graph.constant(f"{name}.{part}", layer.tensors[f"norm.{part}"]) for part in ("weight", "bias")]
    return graph.op(f"{name}.norm", "LayerNormalization", value, *weights, axis=-1, epsilon=LAYER_NORM_EPSILON)


def _normalize(graph: Graph, name: str, value: str, _layer: Layer, _precision: Precision) -> str:
    axis = graph.constant("last_axis", np.array([-1], np.int64))
    length = graph.op(f"{name}.length", "ReduceL2", value, axis, keepdims=1)
    floored = graph.op(f"{name}.floored", "Max", length, graph.constant("norm_floor", np.array(NORM_FLOOR, np.float32)))
    return graph.op(f"{name}.unit", "Div", value, floored)


def _word_weights(graph: Graph, name: str, value: str, layer: Layer, _precision: Precision) -> str:
    assert isinstance(layer.module, WordWeights)  # noqa: S101 - WRITERS passes no other
    table = graph.constant(f"{name}.table", np.array(layer.module.weights, np.float32)[:, np.newaxis])
    return graph.op(f"{name}.weighted", "Mul", value, graph.op(f"{name}.weights", "Gather", table, "input_ids"))


WRITERS: Mapping[type[Module], Callable[[Graph, str, str, Layer, Precision], str]] = {
    Dense: _dense,
    LayerNorm: _layer_norm,
    Normalize: _normalize,
    WordWeights: _word_weights,
}
"""The writer of each type of module. It takes the graph, a name, the value that the module works on, and the precision."""
