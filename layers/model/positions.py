"""Write positions into a graph: learned tables, learned biases by distance, and the slopes of ALiBi."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from layers.model import standard_attention
from layers.model.graph import Graph
from layers.model.precision import Array

FARTHEST = 128
"""Tokens that are at least this far apart share a bucket. It is `max_distance` of T5's scheme, which MPNet's code sets to 128."""


def first(graph: Graph, table: Array) -> str:
    """Write the rows of a table, one for each token of the text from the first row on."""
    length = standard_attention.length(graph)
    zero = graph.constant("zero", np.array([0], np.int64))
    rows = graph.constant("positions.table", table)
    return graph.op("positions", "Slice", rows, zero, length, zero)


def after_padding(graph: Graph, table: Array, ids: str, padding_id: int) -> str:
    """Write the rows of a table: a padding token in a text has the padding token's row, all other tokens are counted from there."""
    standard_attention.length(graph)
    padding = graph.constant("padding", np.array(padding_id, np.int64))
    words = graph.op("places.words", "Not", graph.op("places.paddings", "Equal", ids, padding))
    ones = graph.op("places.ones", "Cast", words, to=TensorProto.INT64)
    counted = graph.op("places.counted", "CumSum", ones, graph.constant("places.axis", np.array(1, np.int64)))
    places = graph.op("places", "Add", graph.op("places.after", "Mul", counted, ones), padding)
    return graph.op("positions", "Gather", graph.constant("positions.table", table), places)


def relative(graph: Graph, table: Array, longest: int) -> str:
    """Write the learned bias of each pair of tokens, by its distance, for each head's scores (1, heads, tokens, tokens)."""
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
