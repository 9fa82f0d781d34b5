"""Measure the inputs of each linear layer on the calibration passages: their largest values, and their moments."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from handler.allocator import free_unused
from handler.embedding.manifest import GRAPH, WEIGHTS
from handler.vectors import TokenIds
from layers.model.graph import Graph
from layers.model.int4 import Moments
from layers.model.pooling import PROMPT_TOKENS
from layers.model.precision import Array, Float32, Linear, Precision


class _WithLargest(Float32):
    """Float32 with further outputs: the largest absolute value of each input channel of each linear layer."""

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {}

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        axes = graph.constant("all_but_channels", np.array([0, 1], np.int64))
        watched = graph.op(f"{layer.name}.largest", "ReduceMax", graph.op(f"{layer.name}.abs", "Abs", value), axes, keepdims=0)
        graph.output(watched, [len(layer.weight)])
        self.outputs[layer.name] = watched
        return super().linear(graph, value, layer)


def largest_activations(write: Callable[[Precision], Graph], sequences: Sequence[TokenIds]) -> dict[str, Array]:
    """Return the largest absolute values (in,) of each linear layer's inputs, by its name. `write` writes the model's graph."""
    watched = _WithLargest()
    session = _session(write, watched)
    largest = [_run(session, ids, list(watched.outputs.values())) for ids in sequences]
    return {name: np.max(values, axis=0) for name, values in zip(watched.outputs, zip(*largest, strict=True), strict=True)}


class _WithInputs(Float32):
    """Float32 with further outputs: the inputs of each linear layer."""

    def __init__(self) -> None:
        self.inputs: dict[str, tuple[str, int]] = {}

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        graph.output(value, [1, "tokens", len(layer.weight)])
        self.inputs[layer.name] = value, len(layer.weight)
        return super().linear(graph, value, layer)


def moments(write: Callable[[Precision], Graph], sequences: Sequence[TokenIds]) -> Iterator[tuple[str, Moments]]:
    """Yield the name and the input moments of each linear layer, in the order of the graph. All passages have the same weight.

    Layers are processed in groups, and the passages run once for each group: all covariances together are larger than the model.
    """
    given = _WithInputs()
    session = _session(write, given)
    for group in _groups(given.inputs):
        means = {name: np.zeros(width) for name, (_, width) in group.items()}
        products = {name: np.zeros((width, width)) for name, (_, width) in group.items()}
        for ids in sequences:
            for name, (inputs,) in zip(group, _run(session, ids, [value for value, _ in group.values()]), strict=True):
                share = inputs / np.sqrt(np.float32(len(inputs) * len(sequences)))
                means[name] += inputs.mean(axis=0) / len(sequences)
                products[name] += share.T @ share
        for name, mean in means.items():
            yield name, Moments(mean.astype(np.float32), products.pop(name) - np.outer(mean, mean))


MOMENTS_BYTES = 512_000_000
"""The largest size of the covariances that are in memory at the same time."""


def _groups(inputs: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, tuple[str, int]]]:
    group: dict[str, tuple[str, int]] = {}
    for name, (value, width) in inputs.items():
        if group and 8 * (width**2 + sum(other**2 for _, other in group.values())) > MOMENTS_BYTES:
            yield group
            group = {}
        group[name] = value, width
    yield group


def _session(write: Callable[[Precision], Graph], precision: Precision) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the order of additions, and so the last bits, must not depend on the machine's cores
    options.add_session_config_entry("session.disable_prepacking", "1")  # a second copy of the weights would be the peak of memory
    with tempfile.TemporaryDirectory() as folder:
        write(precision).write(Path(folder, GRAPH), WEIGHTS)
        free_unused()  # the graph's copy of the weights
        return onnxruntime.InferenceSession(Path(folder, GRAPH), options)


def _run(session: onnxruntime.InferenceSession, ids: TokenIds, outputs: Sequence[str]) -> list[Array]:
    rows = np.atleast_2d(ids)  # of a pair, the second row has the types of the tokens
    given = {"input_ids": rows[:1], "token_type_ids": rows[1:], PROMPT_TOKENS: np.array([0])}
    run: list[Array] = session.run(outputs, {value.name: given[value.name] for value in session.get_inputs()})
    return run
