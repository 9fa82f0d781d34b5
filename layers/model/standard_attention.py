"""Write attention with ONNX's own operators, for one text: norms of heads, rotary positions, windows, ALiBi."""

from typing import TYPE_CHECKING, Any

import numpy as np

from layers.model.graph import Graph

if TYPE_CHECKING:
    from layers.model.precision import Attention, Rotation


def write(graph: Graph, merged: str, layer: "Attention", bias: str) -> str:
    """Write attention over merged queries, keys and values; `bias` (1, heads, tokens, tokens) is added to scores, unless ""."""
    name = layer.name
    parts = _split(graph, merged, layer)
    if layer.rotation:
        heads = (layer.heads, layer.key_value_heads)
        places = zip("qk", parts, heads, layer.rotation.gammas or (None, None), strict=False)
        turned = [_turned(graph, f"{name}.{part}", value, count, layer.rotation, gamma) for part, value, count, gamma in places]
        parts = [*turned, parts[2]]
    if layer.slopes is not None:
        bias = _alibi(graph, layer.slopes)
    mask = bias or (_window(graph, layer.window) if layer.window is not None else "")
    attributes: dict[str, Any] = {"q_num_heads": layer.heads, "kv_num_heads": layer.key_value_heads}
    attributes |= {"is_causal": 1} if layer.causal else {}
    attributes |= {} if layer.scale is None else {"scale": layer.scale}
    return graph.op(name, "Attention", *parts, *([mask] if mask else []), **attributes)


def _split(graph: Graph, merged: str, layer: "Attention") -> list[str]:
    names = [f"{layer.name}.{part}" for part in "qkv"]
    if layer.heads == layer.key_value_heads:
        return graph.ops(names, "Split", merged, axis=-1, num_outputs=3)
    sizes = np.array([layer.heads, layer.key_value_heads, layer.key_value_heads]) * layer.width
    return graph.ops(names, "Split", merged, graph.constant("attention.sizes", sizes.astype(np.int64)), axis=-1)


def _turned(graph: Graph, name: str, value: str, heads: int, rotation: "Rotation", gamma: "np.ndarray | None") -> str:
    """Write the RMSNorm of each head, if there is one, and its rotary positions."""
    if gamma is not None:
        apart = graph.constant(f"attention.apart.{heads}", np.array([0, 0, heads, -1], np.int64))
        together = graph.constant("attention.together", np.array([0, 0, -1], np.int64))
        weight = graph.constant(f"{name}.gamma", gamma)
        split = graph.op(f"{name}.heads", "Reshape", value, apart)
        normed = graph.op(f"{name}.normed", "RMSNormalization", split, weight, axis=-1, epsilon=rotation.epsilon)
        value = graph.op(f"{name}.joined", "Reshape", normed, together)
    tables = [_rows(graph, f"{rotation.name}.{part}", rotation.table[:, place]) for place, part in enumerate(("cos", "sin"))]
    rotated = 2 * rotation.table.shape[-1]
    return graph.op(f"{name}.turned", "RotaryEmbedding", value, *tables, num_heads=heads, rotary_embedding_dim=rotated)


def _rows(graph: Graph, name: str, table: np.ndarray) -> str:
    """Write the rows (1, tokens, width) of a table that belong to the text's tokens. All layers share them."""
    if not graph.has(name):
        zero = graph.constant("zero", np.array([0], np.int64))
        whole = graph.constant(f"{name}.table", np.ascontiguousarray(table))
        rows = graph.op(f"{name}.rows", "Slice", whole, zero, length(graph), zero)
        graph.op(name, "Unsqueeze", rows, zero)
    return name


def _window(graph: Graph, window: int) -> str:
    """Write whether each token sees each other one (tokens, tokens). All layers with this window share it."""
    name = f"window.{window}"
    if not graph.has(name):
        away = graph.op(f"{name}.away", "Abs", signed_distances(graph))
        graph.op(name, "LessOrEqual", away, graph.constant(f"{name}.most", np.array(window, np.int64)))
    return name


def _alibi(graph: Graph, slopes: "np.ndarray") -> str:
    """Write what is added to scores (1, heads, tokens, tokens): each head's slope times the distance, negative."""
    if not graph.has("alibi"):
        away = graph.cast("alibi.float", graph.op("alibi.away", "Abs", signed_distances(graph)))
        graph.op("alibi", "Mul", graph.constant("alibi.slopes", -slopes[np.newaxis, :, np.newaxis, np.newaxis]), away)
    return "alibi"


def length(graph: Graph) -> str:
    """Write the number of tokens of the text, once."""
    return "length" if graph.has("length") else graph.op("length", "Shape", "input_ids", start=1)


def signed_distances(graph: Graph) -> str:
    """Write key's place - query's place for each pair of tokens (tokens, tokens), once."""
    if not graph.has("distances.signed"):
        zero, one = (graph.constant(f"axis.{axis}", np.array([axis], np.int64)) for axis in (0, 1))
        count = graph.op("places.text", "Squeeze", length(graph))
        columns = graph.op(
            "columns", "Range", graph.constant("places.first", np.array(0)), count, graph.constant("places.step", np.array(1))
        )
        rows = graph.op("rows", "Unsqueeze", columns, one)
        graph.op("distances.signed", "Sub", graph.op("columns.wide", "Unsqueeze", columns, zero), rows)
    return "distances.signed"
