"""The largest activation of each input channel of each linear layer, over passages that scoring never sees."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from handler.embedding.manifest import GRAPH, WEIGHTS
from handler.embedding.tokenization import TokenIds
from layers.model.graph import Graph
from layers.model.head import PROMPT_TOKENS
from layers.model.precision import Array, Float32, Outliers, Precision


class _Watched(Float32):
    """Float32 that gives away, for each linear layer, the largest absolute value of each input channel."""

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {}

    def linear(self, graph: Graph, name: str, value: str, weight: Array, bias: Array, outliers: Outliers) -> str:
        axes = graph.constant("all_but_channels", np.array([0, 1], np.int64))
        watched = graph.op(f"{name}.largest", "ReduceMax", graph.op(f"{name}.abs", "Abs", value), axes, keepdims=0)
        graph.output(watched, [weight.shape[0]])
        self.outputs[name] = watched
        return super().linear(graph, name, value, weight, bias, outliers)


def largest_activations(write: Callable[[Precision], Graph], sequences: Sequence[TokenIds]) -> dict[str, Array]:
    """By the name of a linear layer, the largest absolute value (in,) of each of its inputs; `write` writes the model's graph."""
    watched = _Watched()
    graph = write(watched)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the order of additions, and so the last bits, must not depend on the machine's cores
    with tempfile.TemporaryDirectory() as folder:
        graph.write(Path(folder, GRAPH), WEIGHTS)
        session = onnxruntime.InferenceSession(Path(folder, GRAPH), options)
        names = {value.name for value in session.get_inputs()}
        largest = []
        for ids in sequences:
            given = {"input_ids": ids[np.newaxis], PROMPT_TOKENS: np.array([0])}
            largest.append(session.run(list(watched.outputs.values()), {name: given[name] for name in names}))
    return {name: np.max(values, axis=0) for name, values in zip(watched.outputs, zip(*largest, strict=True), strict=True)}
