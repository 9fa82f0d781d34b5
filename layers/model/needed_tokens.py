"""Write which tokens the last layer computes, where a model needs the vectors of the first or of the last token only.

After the last attention, each token's vector depends on no other token. So the others are left out there, and no bit of the needed
vectors changes. Where all-MiniLM-L6-v2 pools its first token, a text of 128 tokens takes a tenth less time (AVX2 kernels).
"""

from dataclasses import dataclass

import numpy as np

from layers.model.graph import Graph

NEEDED_TOKENS = "needed_tokens"
"""An input of models that pool one token: the number of tokens whose vectors are needed, 1 or all."""
PREFIX = "needed."
"""Starts the names of all operators and constants here, so that they can be removed (reference_layout.py)."""
END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class NeededTokens:
    """The first or the last tokens: `count` of them, or as many as the graph's input NEEDED_TOKENS says if it is None."""

    last: bool = False
    count: int | None = None

    def write(self, graph: Graph, name: str, value: str) -> str:
        """Write the needed tokens of `value` (texts, tokens, width); return their name."""
        axis = graph.constant(f"{PREFIX}axis", np.array([1], np.int64))
        zero = graph.constant(f"{PREFIX}zero", np.array([0], np.int64))
        if self.count is None:
            count = graph.input(NEEDED_TOKENS, [1])
        else:
            count = graph.constant(f"{PREFIX}count", np.array([self.count], np.int64))
        if not self.last:
            return graph.op(f"{PREFIX}{name}", "Slice", value, zero, count, axis)
        start = f"{PREFIX}start"
        if not graph.has(start):
            graph.op(start, "Sub", zero, count)
        return graph.op(f"{PREFIX}{name}", "Slice", value, start, graph.constant(f"{PREFIX}end", np.array([END], np.int64)), axis)


def remove(graph: Graph) -> None:
    """Remove all that `write` wrote, so that the graph computes all tokens."""
    graph.remove(PREFIX, NEEDED_TOKENS)
