"""BERT encoders as an ONNX graph: all-MiniLM, bge, gte, e5, mxbai-large, snowflake-arctic-embed.

The graph takes the token ids of one text, unpadded, and therefore no attention mask. It ends at the pooled vector, before any
normalisation, and offers the token vectors beside it. Its operators were picked by measurement with ONNX Runtime 1.31 on
AVX512-VNNI: Add + LayerNormalization rather than SkipLayerNormalization (41 µs against 240), the contributed Gelu rather than
BiasGelu, the standard Attention without a mask.
"""

from collections.abc import Mapping

import numpy as np

from layers.model.graph import CONTRIB, Graph
from layers.model.precision import Array, Outliers, Precision
from layers.model.specification import Specification


def write_encoder(specification: Specification, weights: Mapping[str, Array], precision: Precision) -> Graph:
    """The encoder's graph: `input_ids` (1, tokens) → `token_embeddings` (1, tokens, hidden), `pooled` (1, dimension)."""
    graph = Graph()
    writer = _Bert(graph, specification, weights, precision)
    states = writer.embeddings(graph.input("input_ids", [1, "tokens"]))
    for layer in range(specification.layers):
        states = writer.layer(layer, states)
    tokens = graph.op("token_embeddings", "Identity", states)
    graph.output(tokens, [1, "tokens", specification.hidden])
    pools = [POOLINGS[mode](graph, tokens) for mode in specification.pooling]
    graph.op("pooled", "Concat", *pools, axis=-1)
    graph.output("pooled", [1, specification.dimension])
    return graph


def shapes(specification: Specification) -> dict[str, tuple[int, ...]]:
    """The checkpoint's tensors that the graph is written from, and their shapes."""
    hidden, inner = specification.hidden, specification.intermediate
    tensors: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (specification.vocabulary, hidden),
        "embeddings.position_embeddings.weight": (specification.positions, hidden),
        "embeddings.token_type_embeddings.weight": (specification.segments, hidden),
    }
    linears: dict[str, tuple[int, int]] = {}
    norms = ["embeddings.LayerNorm"]
    for layer in range(specification.layers):
        prefix = f"encoder.layer.{layer}"
        linears |= {f"{prefix}.attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
        linears[f"{prefix}.attention.output.dense"] = (hidden, hidden)
        linears[f"{prefix}.intermediate.dense"] = (inner, hidden)
        linears[f"{prefix}.output.dense"] = (hidden, inner)
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    for name, (outputs, inputs) in linears.items():
        tensors |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    for name in norms:
        tensors |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return tensors


class _Bert:
    """The parts of a BERT encoder, written into a graph."""

    def __init__(self, graph: Graph, specification: Specification, weights: Mapping[str, Array], precision: Precision) -> None:
        self._graph = graph
        self._specification = specification
        self._weights = weights
        self._precision = precision

    def embeddings(self, ids: str) -> str:
        graph, weights = self._graph, self._weights
        words = self._precision.embedding(graph, "words", weights["embeddings.word_embeddings.weight"], ids)
        # One text has one segment: its row of the token-type table is folded into every position.
        positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        zero = graph.constant("zero", np.array([0], np.int64))
        length = graph.op("length", "Shape", ids, start=1)
        table = graph.constant("positions.table", positions)
        places = graph.op("positions", "Slice", table, zero, length, zero)
        return self._normalised("embeddings.LayerNorm", graph.op("embedded", "Add", words, places))

    def layer(self, index: int, states: str) -> str:
        graph, name, prefix = self._graph, f"layer.{index}", f"encoder.layer.{index}"
        attended = self._attention(name, f"{prefix}.attention.self", states)
        attended = self._linear(f"{name}.o", attended, f"{prefix}.attention.output.dense", outliers=Outliers.NONE)
        states = self._residual(f"{name}.attended", f"{prefix}.attention.output.LayerNorm", attended, states)
        inner = self._linear(f"{name}.f1", states, f"{prefix}.intermediate.dense", outliers=Outliers.CHANNELS)
        inner = graph.op(f"{name}.gelu", "Gelu", inner, domain=CONTRIB)
        inner = self._linear(f"{name}.f2", inner, f"{prefix}.output.dense", outliers=Outliers.TOKENS)
        return self._residual(f"{name}.result", f"{prefix}.output.LayerNorm", inner, states)

    def _attention(self, name: str, prefix: str, states: str) -> str:
        graph, heads = self._graph, self._specification.heads
        keys = [f"{prefix}.{part}" for part in ("query", "key", "value")]
        merged = self._linear(f"{name}.qkv", states, *keys, outliers=Outliers.CHANNELS)
        parts = graph.ops([f"{name}.{part}" for part in "qkv"], "Split", merged, axis=-1, num_outputs=3)
        return graph.op(f"{name}.attention", "Attention", *parts, q_num_heads=heads, kv_num_heads=heads)

    def _residual(self, name: str, key: str, value: str, states: str) -> str:
        return self._normalised(key, self._graph.op(name, "Add", value, states))

    def _linear(self, name: str, value: str, *keys: str, outliers: Outliers) -> str:
        """One product with the weights of all `keys` side by side."""
        weight = np.concatenate([self._weights[f"{key}.weight"] for key in keys]).T
        bias = np.concatenate([self._weights[f"{key}.bias"] for key in keys])
        return self._precision.linear(self._graph, name, value, np.ascontiguousarray(weight), bias, outliers)

    def _normalised(self, key: str, value: str) -> str:
        gamma = self._graph.constant(f"{key}.gamma", self._weights[f"{key}.weight"])
        beta = self._graph.constant(f"{key}.beta", self._weights[f"{key}.bias"])
        epsilon = self._specification.layer_norm_epsilon
        return self._graph.op(f"{key}.result", "LayerNormalization", value, gamma, beta, axis=-1, epsilon=epsilon)


def _cls(graph: Graph, tokens: str) -> str:
    return graph.op("pooled.cls", "Gather", tokens, graph.constant("first", np.array(0, np.int64)), axis=1)


def _mean(graph: Graph, tokens: str) -> str:
    axis = graph.constant("token_axis", np.array([1], np.int64))
    return graph.op("pooled.mean", "ReduceMean", tokens, axis, keepdims=0)


def _max(graph: Graph, tokens: str) -> str:
    axis = graph.constant("token_axis", np.array([1], np.int64))
    return graph.op("pooled.max", "ReduceMax", tokens, axis, keepdims=0)


POOLINGS = {"cls": _cls, "mean": _mean, "max": _max}
"""Pooling modes by their Sentence Transformers name; several are concatenated."""
