"""Measure the cost of twice as many tokens, texts or threads, and of a model twice as large."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from handler.embedding.encoder import Encoder as Runner
from handler.embedding.manifest import GRAPH, WEIGHTS, Manifest
from handler.vectors import TokenIds
from layers.model.architectures import Shape
from layers.model.calibration import largest_activations
from layers.model.configuration import Configuration
from layers.model.encoder import Encoder
from layers.model.graph import Graph
from layers.model.head import Head
from layers.model.int8 import Int8
from layers.model.modules import Pooling
from layers.model.precision import Array, Precision

from .effort import Effort
from .encoder import sequences
from .machine import cores
from .models import INT8, ours
from .profiling import Node, profile
from .rounds import Clock, Timings, burst, interleaved
from .tables import Table

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
STEP_LENGTHS = (64, 128, 256, 512)
PROFILED_RUNS = 4
LEAST_SHARE = 0.005
"""Operators are left out that together take less than this share of the longest text's time."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
BATCH_TOKENS = 16
SIZES = {"MiniLM": (384, 12, 6), "BERT base": (768, 12, 12), "gte-large": (1024, 16, 24)}
"""The hidden size, attention heads and layers of each model."""
SIZE_TOKENS = 128
BUILT_LAYERS = 2
VOCABULARY = 1000


def tables(effort: Effort) -> Iterator[Table]:
    """Measure by length, operator, batch, threads and model."""
    yield _length(effort)
    yield _steps(effort)
    yield _batch(effort)
    yield _threads(effort)
    yield _size(effort)


def _length(effort: Effort) -> Table:
    timings = _measured(effort, ours(INT8, 1), {tokens: sequences(tokens, 1) for tokens in LENGTHS}, time.thread_time)
    return Table(
        "Growth by length: milliseconds a text",
        ["CPU time of 1 thread; doubling: how many times the text of half as many tokens, 2 is linear"],
        {"tokens": "d", "ms": ".3f", "µs / token": ".1f", "doubling": ".2f"},
        [(tokens, ms, ms * 1000 / tokens, doubling) for tokens, ms, doubling in _doublings(timings, LENGTHS)],
    )


def _steps(effort: Effort) -> Table:
    found = {tokens: _by_kind(profile(tokens, effort.row.rounds * PROFILED_RUNS)) for tokens in STEP_LENGTHS}
    last, longest = STEP_LENGTHS[-2:]
    steps = sorted(found[longest], key=lambda step: -found[longest][step])
    return Table(
        "Growth by step: milliseconds of all operators of a kind",
        [f"1 thread, each operator's shortest in ONNX Runtime's profile; doubling: {longest} tokens against {last}, 2 is linear"],
        {"operator": "s"} | {f"{tokens} tokens": ".3f" for tokens in STEP_LENGTHS} | {"doubling": ".2f"},
        [
            (step, *(found[tokens][step] / 1000 for tokens in STEP_LENGTHS), found[longest][step] / found[last][step])
            for step in steps
            if found[longest][step] >= LEAST_SHARE * sum(found[longest].values())
        ],
    )


def _by_kind(nodes: Sequence[Node]) -> dict[str, float]:
    """Return microseconds for each kind of operator."""
    steps: dict[str, float] = {}
    for node in nodes:
        steps[node.kind] = steps.get(node.kind, 0) + node.microseconds
    return steps


def _batch(effort: Effort) -> Table:
    threads = cores()
    timings = _measured(
        effort, ours(INT8, threads), {count: sequences(BATCH_TOKENS, count) for count in BATCHES}, time.perf_counter
    )
    return Table(
        "Growth by batch: milliseconds a batch",
        [f"texts of {BATCH_TOKENS} tokens on {threads} threads; doubling: against half as many texts, 2 is linear"],
        {"texts": "d", "ms": ".2f", "texts/s": ".0f", "doubling": ".2f"},
        [(count, ms, count * 1000 / ms, doubling) for count, ms, doubling in _doublings(timings, BATCHES)],
    )


def _threads(effort: Effort) -> Table:
    counts = range(1, cores() + 1)
    texts = sequences(SIZE_TOKENS, effort.texts_per_core * cores())
    timings = interleaved(
        {str(count): burst(partial(ours(INT8, count).encode, texts), effort.burst) for count in counts}, effort.row
    )
    return Table(
        "Growth by threads: texts a second",
        [f"{len(texts)} texts of {SIZE_TOKENS} tokens"],
        {"threads": "d", "texts/s": ".1f", "speed / 1 thread": ".2f"},
        [(count, len(texts) / timings.median(str(count)), timings.ratio("1", str(count))) for count in counts],
    )


def _size(effort: Effort) -> Table:
    with tempfile.TemporaryDirectory() as scratch:
        models = {name: _Random.write(Path(scratch, name), *size) for name, size in SIZES.items()}
        text = [sequences(SIZE_TOKENS, 1)[0] % VOCABULARY]
        timings = interleaved(
            {name: burst(partial(model.runner.encode, text), effort.burst, time.thread_time) for name, model in models.items()},
            effort.row,
        )
    rows = []
    for name, model in models.items():
        layer_ms = timings.median(name) * 1000 / BUILT_LAYERS
        rows.append((name, model.layers, model.layer_weights / 1e6, layer_ms, layer_ms * 1e6 / model.layer_weights))
    return Table(
        "Growth by model: milliseconds a layer",
        [
            f"CPU time of 1 thread, {SIZE_TOKENS} tokens; models of {BUILT_LAYERS} layers with random weights, embeddings and pool",
            "counted along; a whole model takes about its number of layers times as long",
        ],
        {"model": "s", "layers": "d", "million weights a layer": ".1f", "ms a layer": ".2f", "ns a weight": ".2f"},
        rows,
    )


def _measured(effort: Effort, encoder: Runner, texts: dict[int, Sequence[TokenIds]], clock: Clock) -> Timings:
    return interleaved(
        {str(size): burst(partial(encoder.encode, some), effort.burst, clock) for size, some in texts.items()}, effort.row
    )


def _doublings(timings: Timings, sizes: Sequence[int]) -> Iterator[tuple[int, float, float]]:
    """Each size, its milliseconds, and how many times those of the size before; a size doubles the one before, the first itself."""
    yield sizes[0], timings.median(str(sizes[0])) * 1000, 1.0
    for half, size in pairwise(sizes):
        yield size, timings.median(str(size)) * 1000, timings.ratio(str(size), str(half))


@dataclass(frozen=True, slots=True)
class _Random:
    """Make a model of BUILT_LAYERS layers with random weights, for a shape whose real model has `layers`."""

    runner: Runner
    layers: int
    layer_weights: int

    @classmethod
    def write(cls, folder: Path, hidden: int, heads: int, layers: int) -> "_Random":
        sizes = {"hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": BUILT_LAYERS}
        sizes |= {"intermediate_size": 4 * hidden, "vocab_size": VOCABULARY, "max_position_embeddings": SIZE_TOKENS}
        others = {"model_type": "bert", "type_vocab_size": 1, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
        shape = Shape.read(Configuration("config.json", {**sizes, **others}))
        random = np.random.default_rng(hidden)
        weights: dict[str, Array] = {
            name: random.standard_normal(size, np.float32) / np.float32(hidden**0.5) for name, size in shape.tensors().items()
        }

        def graph(precision: Precision) -> Graph:
            written = Graph()
            states = Encoder(written, 1, shape, SIZE_TOKENS, weights, precision).write()
            Head([], Pooling(("mean",), hidden, include_prompt=True), [], hidden).write(written, states, precision)
            return written

        folder.mkdir()
        calibration = [sequences(SIZE_TOKENS, 1)[0] % VOCABULARY]
        graph(Int8(largest_activations(graph, calibration))).write(folder / GRAPH, WEIGHTS)
        runner = Runner(folder, replace(Manifest.read(INT8), dimension=hidden), 1)
        return cls(runner, layers, 12 * hidden**2)
