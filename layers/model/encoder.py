"""Write an encoder like BERT as an ONNX graph, from its weights. architectures.py has the families and their differences.

The graph takes the token ids of one text, or of several texts of the same length. There is no padding, so there is no attention
mask.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from layers.model.architectures import Shape
from layers.model.graph import Graph
from layers.model.precision import Array, Linear, Norm, Precision

FARTHEST = 128
"""Tokens that are at least this far apart share a bucket. It is `max_distance` of T5's scheme, which MPNet's code sets to 128."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes one encoder into a graph.

    A text has `max_length` tokens at most. `texts` in a run are 1, or "texts" for any number. If the tokens have `types`, as those
    of a pair of texts may have, these are a second input.
    """

    graph: Graph
    texts: int | str
    shape: Shape
    max_length: int
    weights: Mapping[str, Array]
    precision: Precision
    types: bool = False

    def write(self) -> str:
        """Write the encoder of `input_ids` (texts, tokens); return the name of the last layer's states (texts, tokens, hidden)."""
        ids = self.graph.input("input_ids", [self.texts, "tokens"])
        states = self._embeddings(ids)
        bias = self._relative_positions() if self.shape.architecture.relative_positions else ""
        for index in range(self.shape.layers):
            states = self._layer(index, states, bias)
        return states

    def _embeddings(self, ids: str) -> str:
        graph, architecture = self.graph, self.shape.architecture
        words = self.precision.embedding(graph, "words", self.weights["embeddings.word_embeddings.weight"], ids)
        table = self.weights["embeddings.position_embeddings.weight"]
        if architecture.segments and not self.types:
            # A text is one segment, so its row of the token-type table is added to every position here.
            table = table + self.weights["embeddings.token_type_embeddings.weight"][0]
        length = graph.op("length", "Shape", ids, start=1)
        positions = (
            self._positions_after_padding(table, ids) if architecture.positions_after_padding else self._first(table, length)
        )
        if self.types:
            positions = graph.op("positions.typed", "Add", self._segments(), positions)
        return self._normalised(architecture.norm, words, positions)

    def _segments(self) -> str:
        """Write the rows (texts, tokens, hidden) of the tokens' types."""
        types = self.graph.input("token_type_ids", [self.texts, "tokens"])
        table = self.graph.constant("segments.table", self.weights["embeddings.token_type_embeddings.weight"])
        return self.graph.op("segments", "Gather", table, types)

    def _first(self, table: Array, length: str) -> str:
        zero = self.graph.constant("zero", np.array([0], np.int64))
        rows = self.graph.constant("positions.table", table)
        return self.graph.op("positions", "Slice", rows, zero, length, zero)

    def _positions_after_padding(self, table: Array, ids: str) -> str:
        """Write the positions: a padding token in a text has the padding token's row, all other tokens are counted from there."""
        graph = self.graph
        padding = graph.constant("padding", np.array(self.shape.padding, np.int64))
        words = graph.op("places.words", "Not", graph.op("places.paddings", "Equal", ids, padding))
        ones = graph.op("places.ones", "Cast", words, to=TensorProto.INT64)
        counted = graph.op("places.counted", "CumSum", ones, graph.constant("places.axis", np.array(1, np.int64)))
        places = graph.op("places", "Add", graph.op("places.after", "Mul", counted, ones), padding)
        return graph.op("positions", "Gather", graph.constant("positions.table", table), places)

    def _relative_positions(self) -> str:
        """Write the learned bias of each pair of tokens, by its distance, for each head's scores (1, heads, tokens, tokens)."""
        graph, longest = self.graph, self.max_length
        table = self.weights[f"{self.shape.architecture.relative_positions}.weight"]
        distances = np.arange(1 - longest, longest)
        by_distance = table[buckets(distances, len(table))].T[np.newaxis]
        zero = graph.constant("zero", np.array([0], np.int64))
        count = graph.constant("places.count", np.arange(longest))
        columns = graph.op("columns", "Slice", count, zero, "length", zero)
        rows = graph.op("rows", "Unsqueeze", columns, graph.constant("rows.axis", np.array([1], np.int64)))
        origin = graph.constant("distances.origin", np.array(longest - 1, np.int64))
        apart = graph.op("distances", "Add", graph.op("distances.signed", "Sub", columns, rows), origin)
        rows_by_distance = graph.constant("distances.table", np.ascontiguousarray(by_distance))
        return graph.op("distances.bias", "Gather", rows_by_distance, apart, axis=2)

    def _layer(self, index: int, states: str, bias: str) -> str:
        architecture = self.shape.architecture
        name, prefix = f"layer.{index}", architecture.layer.format(index)
        attended = self._attention(name, prefix, states, bias)
        states = self._normalised(f"{prefix}.{architecture.attended}", attended, states)
        inner, outer = f"{prefix}.{architecture.inner}", f"{prefix}.{architecture.outer}"
        return self._normalised(f"{prefix}.{architecture.result}", self._feed_forward(name, states, inner, outer), states)

    def _attention(self, name: str, prefix: str, states: str, bias: str) -> str:
        architecture = self.shape.architecture
        projections = [f"{prefix}.{part}" for part in (architecture.query, architecture.key, architecture.value)]
        merged = self.precision.linear(self.graph, states, self._linear(f"{name}.qkv", *projections, outliers=True))
        attended = self.precision.attention(self.graph, f"{name}.attention", merged, self.shape.heads, bias)
        return self.precision.linear(self.graph, attended, self._linear(f"{name}.o", f"{prefix}.{architecture.output}"))

    def _feed_forward(self, name: str, states: str, inner: str, outer: str) -> str:
        """Write the two linear layers and the activation between them. The precision decides the order of the inner channels."""
        one, two = self._linear(f"{name}.f1", inner, outliers=True), self._linear(f"{name}.f2", outer)
        order = self.precision.order(two.name)
        one = replace(
            one, weight=np.ascontiguousarray(one.weight[:, order]), bias=one.bias[order], activation=self.shape.activation
        )
        two = replace(two, weight=np.ascontiguousarray(two.weight[order]))
        return self.precision.linear(self.graph, self.precision.linear(self.graph, states, one), two)

    def _linear(self, name: str, *keys: str, outliers: bool = False) -> Linear:
        """Return one layer that has the outputs of all layers `keys`."""
        weight = np.concatenate([self.weights[f"{key}.weight"] for key in keys]).T
        bias = np.concatenate([self.weights[f"{key}.bias"] for key in keys])
        return Linear(name, np.ascontiguousarray(weight), bias, outliers)

    def _normalised(self, key: str, one: str, other: str) -> str:
        norm = Norm(key, self.weights[f"{key}.weight"], self.weights[f"{key}.bias"], self.shape.layer_norm_epsilon)
        return self.precision.add_norm(self.graph, (one, other), norm)


def buckets(distances: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the bucket, of `count`, of each signed distance (key's place - query's place).

    Each direction has half of the buckets. In each half, the nearest distances have a bucket each, and the others share buckets on
    a logarithmic scale up to FARTHEST (T5, Raffel et al. 2020, arXiv:1910.10683, section 2.1). It is computed in float32, as in
    training.
    """
    half, near = count // 2, count // 4
    away = np.abs(distances)
    ratio = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(near)) / np.float32(np.log(FARTHEST / near))
    far = np.minimum(near + (ratio * np.float32(half - near)).astype(np.int64), half - 1)
    return np.where(away < near, away, far) + np.where(distances > 0, half, 0)
