"""Encoders of the BERT kind as an ONNX graph, written from their weights; architectures.py says which and how they differ.

The graph takes the token ids of one text, unpadded, and therefore no attention mask. Its operators were picked by measurement with
ONNX Runtime 1.31 on AVX512-VNNI: Add + LayerNormalization rather than SkipLayerNormalization (41 µs against 240), the contributed
Gelu rather than BiasGelu, the standard Attention without a mask.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from layers.model.architectures import Shape
from layers.model.graph import CONTRIB, Graph
from layers.model.precision import Array, Outliers, Precision

FARTHEST = 128
"""Tokens this far apart and farther share a bucket: `max_distance` of the T5 scheme that MPNet fixed in its code."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes one encoder into a graph. No text has more than `max_length` tokens."""

    graph: Graph
    shape: Shape
    max_length: int
    weights: Mapping[str, Array]
    precision: Precision

    def write(self) -> str:
        """`input_ids` (1, tokens) to the last layer's states (1, tokens, hidden)."""
        ids = self.graph.input("input_ids", [1, "tokens"])
        states = self._embeddings(ids)
        bias = self._relative_positions() if self.shape.architecture.relative_positions else ""
        for index in range(self.shape.layers):
            states = self._layer(index, states, bias)
        return states

    def _embeddings(self, ids: str) -> str:
        graph, architecture = self.graph, self.shape.architecture
        words = self.precision.embedding(graph, "words", self.weights["embeddings.word_embeddings.weight"], ids)
        table = self.weights["embeddings.position_embeddings.weight"]
        if architecture.segments:
            # One text has one segment: its row of the token-type table is folded into every position.
            table = table + self.weights["embeddings.token_type_embeddings.weight"][0]
        length = graph.op("length", "Shape", ids, start=1)
        positions = (
            self._positions_after_padding(table, ids) if architecture.positions_after_padding else self._first(table, length)
        )
        return self._normalised(architecture.norm, graph.op("embedded", "Add", words, positions))

    def _first(self, table: Array, length: str) -> str:
        zero = self.graph.constant("zero", np.array([0], np.int64))
        rows = self.graph.constant("positions.table", table)
        return self.graph.op("positions", "Slice", rows, zero, length, zero)

    def _positions_after_padding(self, table: Array, ids: str) -> str:
        """The padding token's own row for a padding token, which a text may spell; for all others their number after it."""
        graph = self.graph
        padding = graph.constant("padding", np.array(self.shape.padding, np.int64))
        words = graph.op("places.words", "Not", graph.op("places.paddings", "Equal", ids, padding))
        ones = graph.op("places.ones", "Cast", words, to=TensorProto.INT64)
        counted = graph.op("places.counted", "CumSum", ones, graph.constant("places.axis", np.array(1, np.int64)))
        places = graph.op("places", "Add", graph.op("places.after", "Mul", counted, ones), padding)
        return graph.op("positions", "Gather", graph.constant("positions.table", table), places)

    def _relative_positions(self) -> str:
        """What every pair of tokens adds to each head's scores (1, heads, tokens, tokens): learned, by bucket of distance."""
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
        graph, architecture = self.graph, self.shape.architecture
        name, prefix = f"layer.{index}", architecture.layer.format(index)
        attended = self._attention(name, prefix, states, bias)
        attended = self._linear(f"{name}.o", attended, f"{prefix}.{architecture.output}", outliers=Outliers.NONE)
        attended = graph.op(f"{name}.attended", "Add", attended, states)
        states = self._normalised(f"{prefix}.{architecture.attended}", attended)
        result = graph.op(f"{name}.result", "Sum", states, *self._feed_forward(name, prefix, states))
        return self._normalised(f"{prefix}.{architecture.result}", result)

    def _feed_forward(self, name: str, prefix: str, states: str) -> list[str]:
        """The two linear layers with a Gelu between, as the terms of a sum: most inner channels, and those that stay apart."""
        graph, architecture = self.graph, self.shape.architecture
        inner, inner_bias = self._linear_weights(f"{prefix}.{architecture.inner}")
        outer, outer_bias = self._linear_weights(f"{prefix}.{architecture.outer}")
        terms = []
        if apart := self.precision.apart(f"{name}.f2"):
            product = graph.op(f"{name}.a1", "MatMul", states, graph.constant(f"{name}.a1.weight", inner[:, apart]))
            bias = graph.constant(f"{name}.a1.bias", inner_bias[apart])
            active = graph.op(f"{name}.a1.gelu", "BiasGelu", product, bias, domain=CONTRIB)
            terms.append(graph.op(f"{name}.a2", "MatMul", active, graph.constant(f"{name}.a2.weight", outer[apart])))
            # Zeroed among the others, and not removed: matrix products are fastest at round widths.
            inner[:, apart] = inner_bias[apart] = outer[apart] = 0
        value = self.precision.linear(graph, f"{name}.f1", states, inner, inner_bias, Outliers.CHANNELS)
        value = graph.op(f"{name}.gelu", "Gelu", value, domain=CONTRIB)
        return [self.precision.linear(graph, f"{name}.f2", value, outer, outer_bias, Outliers.NONE), *terms]

    def _attention(self, name: str, prefix: str, states: str, bias: str) -> str:
        graph, architecture, heads = self.graph, self.shape.architecture, self.shape.heads
        keys = [f"{prefix}.{part}" for part in (architecture.query, architecture.key, architecture.value)]
        merged = self._linear(f"{name}.qkv", states, *keys, outliers=Outliers.CHANNELS)
        parts = graph.ops([f"{name}.{part}" for part in "qkv"], "Split", merged, axis=-1, num_outputs=3)
        biases = [bias] if bias else []
        return graph.op(f"{name}.attention", "Attention", *parts, *biases, q_num_heads=heads, kv_num_heads=heads)

    def _linear(self, name: str, value: str, *keys: str, outliers: Outliers) -> str:
        """One product with the weights of all `keys` side by side."""
        return self.precision.linear(self.graph, name, value, *self._linear_weights(*keys), outliers)

    def _linear_weights(self, *keys: str) -> tuple[Array, Array]:
        """The weights (in, out) and biases (out) of all `keys` side by side, as copies."""
        weight = np.concatenate([self.weights[f"{key}.weight"] for key in keys]).T
        return np.ascontiguousarray(weight), np.concatenate([self.weights[f"{key}.bias"] for key in keys])

    def _normalised(self, key: str, value: str) -> str:
        gamma = self.graph.constant(f"{key}.gamma", self.weights[f"{key}.weight"])
        beta = self.graph.constant(f"{key}.beta", self.weights[f"{key}.bias"])
        epsilon = self.shape.layer_norm_epsilon
        return self.graph.op(f"{key}.result", "LayerNormalization", value, gamma, beta, axis=-1, epsilon=epsilon)


def buckets(distances: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The bucket of each signed distance (key's place - query's place), of `count`.

    Half of the buckets for each direction; in each the nearest half one distance a bucket, the rest logarithmic up to FARTHEST
    (T5, Raffel et al. 2020, arXiv:1910.10683, section 2.1). In float32, as the models were trained.
    """
    half, near = count // 2, count // 4
    away = np.abs(distances)
    ratio = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(near)) / np.float32(np.log(FARTHEST / near))
    far = np.minimum(near + (ratio * np.float32(half - near)).astype(np.int64), half - 1)
    return np.where(away < near, away, far) + np.where(distances > 0, half, 0)
