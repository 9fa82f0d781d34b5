"""Write an encoder as an ONNX graph, from its weights. families/traits.py has the traits in which families differ.

The graph takes the token ids of one text, or of several texts of the same length. There is no padding, so there is no attention
mask.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from layers.model import positions
from layers.model.architectures import Shape
from layers.model.families.spans import Rotary, Span
from layers.model.families.traits import Norms
from layers.model.graph import Graph
from layers.model.needed_tokens import NeededTokens
from layers.model.precision import Array, Attention, Linear, Norm, Precision, Rotation


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes one encoder into a graph.

    A text has `max_length` tokens at most. `texts` in a run are 1, or "texts" for any number. If the tokens have `types`, as those
    of a pair of texts may have, these are a second input. After the last attention, only the `needed` tokens are computed, or all.
    """

    graph: Graph
    texts: int | str
    shape: Shape
    max_length: int
    weights: Mapping[str, Array]
    precision: Precision
    types: bool = False
    needed: NeededTokens | None = None

    def write(self) -> str:
        """Write the encoder of `input_ids` (texts, tokens); return the name of the last layer's states (texts, needed, hidden)."""
        row = self.shape.architecture
        ids = self.graph.input("input_ids", [self.texts, "tokens"])
        states = self._embeddings(ids)
        bias = ""
        if row.relative_positions:
            bias = positions.relative(self.graph, self.weights[f"{row.relative_positions}.weight"], self.max_length)
        rotations = self._rotations()
        for index, span in enumerate(self.shape.spans):
            states = self._layer(index, states, span, rotations.get(span.rotary), bias)
        return self._normalised(row.final, states) if row.final else states

    # --- Embeddings

    def _embeddings(self, ids: str) -> str:
        graph, row = self.graph, self.shape.architecture
        states = self.precision.embedding(graph, "words", self.weights[f"{row.words}.weight"], ids)
        if row.scaled:
            scale = np.array(self.shape.hidden**0.5, np.float32)
            states = graph.op("words.scaled", "Mul", states, graph.constant("words.scale", scale))
        added = self._added_embeddings(ids)
        if added and row.embedded:
            states = self.precision.add_norm(graph, (states, added), self._norm(row.embedded))
        elif row.embedded:
            states = self._normalised(row.embedded, states)
        if row.projection and self.shape.embedding != self.shape.hidden:
            states = self.precision.linear(graph, states, self._linear("projection", row.projection))
        return states

    def _added_embeddings(self, ids: str) -> str:
        """Write what is added to the words: learned positions and token types; return "" if there are neither.

        A text is one segment, so its row of the token types is added to every position here, unless they are an input.
        """
        graph, row = self.graph, self.shape.architecture
        types = self._types() if self.types and self.shape.segments else ""
        segment = self.weights[f"{row.segments}.weight"][0] if self.shape.segments and not types else None
        if not row.learned:
            return types if segment is None else graph.constant("segment", segment[np.newaxis, np.newaxis])
        table = self.weights[f"{row.learned}.weight"]
        table = table if segment is None else table + segment
        if row.positions_after_padding:
            places = positions.after_padding(graph, table, ids, self.shape.padding)
        else:
            places = positions.first(graph, table)
        return graph.op("positions.typed", "Add", types, places) if types else places

    def _types(self) -> str:
        """Write the rows (texts, tokens, hidden) of the tokens' types, which are an input."""
        types = self.graph.input("token_type_ids", [self.texts, "tokens"])
        table = self.graph.constant("segments.table", self.weights[f"{self.shape.architecture.segments}.weight"])
        return self.graph.op("segments", "Gather", table, types)

    # --- Layers

    def _layer(self, index: int, states: str, span: Span, rotation: Rotation | None, bias: str) -> str:
        row = self.shape.architecture
        name, prefix = f"layer.{index}", row.layer.format(index)
        needed = self.needed if index == len(self.shape.spans) - 1 else None

        def attend(value: str) -> str:
            attended = self._attention(name, prefix, value, span, rotation, bias)
            if needed:
                attended = needed.write(self.graph, "attended", attended)
            return self.precision.linear(self.graph, attended, self._linear(f"{name}.o", f"{prefix}.{row.output}"))

        def feed(value: str) -> str:
            return self._feed_forward(name, prefix, value)

        attention = row.attention if self.shape.has_norm(index, row.attention.before) else replace(row.attention, before="")
        states = self._block(f"{name}.attention", prefix, states, attention, attend, needed)
        return self._block(f"{name}.feed_forward", prefix, states, row.feed_forward, feed)

    def _block(
        self, name: str, prefix: str, states: str, norms: Norms, write: Callable[[str], str], needed: NeededTokens | None = None
    ) -> str:
        """Write a block with the norms around it, and the sum of its result and its input. `write` writes the `needed` tokens."""
        value = self._normalised(f"{prefix}.{norms.before}", states) if norms.before else states
        result = write(value)
        if needed:
            states = needed.write(self.graph, "states", states)
        if norms.inside:
            result = self._normalised(f"{prefix}.{norms.inside}", result)
        if norms.joined:
            result = self.precision.add_norm(self.graph, (result, states), self._norm(f"{prefix}.{norms.joined}"))
        if norms.after:
            return self.precision.add_norm(self.graph, (result, states), self._norm(f"{prefix}.{norms.after}"))
        return self.graph.op(f"{name}.sum", "Add", result, states)

    def _attention(self, name: str, prefix: str, states: str, span: Span, rotation: Rotation | None, bias: str) -> str:
        row, shape = self.shape.architecture, self.shape
        merged = self._projections(name, prefix, states)
        if rotation and row.head_norms:
            queries, keys = (self._gamma(f"{prefix}.{norm}") for norm in row.head_norms)
            rotation = replace(rotation, gammas=(queries, keys), epsilon=shape.epsilon)
        layer = Attention(
            f"{name}.attention",
            shape.heads,
            shape.key_value_heads,
            shape.width,
            causal=shape.causal,
            window=span.window,
            scale=shape.scale,
            slopes=span.slopes(shape.heads),
            rotation=rotation,
        )
        return self.precision.attention(self.graph, merged, layer, bias)

    def _projections(self, name: str, prefix: str, states: str) -> str:
        """Write queries, keys and values, one after the other."""
        row, graph = self.shape.architecture, self.graph
        names = [f"{prefix}.{part}" for part in row.projections]
        if not row.projection_norms:
            return self.precision.linear(graph, states, self._linear(f"{name}.qkv", *names, outliers=True))
        linears = [self._linear(f"{name}.{part}", key, outliers=True) for part, key in zip("qkv", names, strict=True)]
        values = [self.precision.linear(graph, states, linear) for linear in linears]
        normed = [self._normalised(f"{prefix}.{norm}", value) for norm, value in zip(row.projection_norms, values[:2], strict=True)]
        return graph.op(f"{name}.qkv", "Concat", *normed, values[2], axis=-1)

    def _rotations(self) -> dict[Rotary | None, Rotation]:
        """Return the table of each kind of rotary positions. Layers of one kind share it."""
        kinds = dict.fromkeys(span.rotary for span in self.shape.spans if span.rotary)
        return {
            kind: Rotation(f"rotary.{place}", kind.table(self.max_length)) for place, kind in enumerate(kinds) if kind is not None
        }

    def _feed_forward(self, name: str, prefix: str, states: str) -> str:
        """Write the two linear layers and the activation between them. The precision decides the order of the inner channels."""
        row, activation = self.shape.architecture, self.shape.activation
        one = self._linear(f"{name}.f1", *(f"{prefix}.{part}" for part in row.inner), outliers=True)
        two = self._linear(f"{name}.f2", f"{prefix}.{row.outer}")
        order = np.arange(self.shape.intermediate)[self.precision.order(two.name)]
        two = replace(two, weight=np.ascontiguousarray(two.weight[order]))
        if row.gated:
            halves = (len(order) + order, order) if row.gate_last else (order, len(order) + order)
            order = np.concatenate(halves)  # both halves of a channel move together
        one = replace(
            one,
            weight=np.ascontiguousarray(one.weight[:, order]),
            bias=None if one.bias is None else one.bias[order],
            activation="linear" if row.gated else activation,
        )
        inner = self.precision.linear(self.graph, states, one)
        if row.gated:
            inner = self.precision.gate(self.graph, f"{name}.gate", inner, activation)
        return self.precision.linear(self.graph, inner, two)

    # --- Weights

    def _linear(self, name: str, *keys: str, outliers: bool = False) -> Linear:
        """Return one layer that has the outputs of all layers `keys`."""
        weight = np.concatenate([self.weights[f"{key}.weight"] for key in keys]).T
        biased = f"{keys[0]}.bias" in self.weights
        bias = np.concatenate([self.weights[f"{key}.bias"] for key in keys]) if biased else None
        return Linear(name, np.ascontiguousarray(weight), bias, outliers)

    def _gamma(self, key: str) -> Array:
        """Return the weights of a norm. Some families store how much they differ from 1."""
        gain = self.shape.architecture.gain
        weight = self.weights[f"{key}.weight"]
        return weight + np.float32(gain) if gain else weight

    def _norm(self, key: str) -> Norm:
        row = self.shape.architecture
        return Norm(key, self._gamma(key), self.weights.get(f"{key}.bias"), self.shape.epsilon, row.centered)

    def _normalised(self, key: str, value: str) -> str:
        return self.precision.norm(self.graph, value, self._norm(key))
