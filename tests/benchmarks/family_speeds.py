"""Measure the speed of each family at a real model's shape with random weights.

The baseline is the same network in ONNX's own operators, quantized by ONNX Runtime's own tool (quantize_dynamic, per channel).
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from handler.embedding.manifest import GRAPH, WEIGHTS
from layers.model.architectures import Shape
from layers.model.calibration import largest_activations
from layers.model.configuration import Configuration
from layers.model.encoder import Encoder
from layers.model.graph import Graph
from layers.model.int8 import Int8
from layers.model.precision import Array, Float32, Precision
from tests.layers.model import references
from tests.layers.runtime.operators import Operators

from .effort import Effort
from .rounds import Timings, burst, interleaved
from .stock import int8
from .tables import Cell, Table

LENGTHS = (32, 128, 512)
LAYERS = 6
"""The number of timed layers: a whole pattern of windows of each family. The time of all contenders grows with it alike."""
VOCABULARY = 4_096
"""The number of tokens that are timed. A token's row is found in the same time in a table of any size."""
CALIBRATION = 2
"""The number of random texts that int8 is fitted to. It changes no time."""
SEED = 21
SPREAD = 0.02
"""The `initializer_range` of most families."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family: its name, models that people use, and its config.json in used_models.json."""

    name: str
    models: str
    config: str


FAMILIES = (
    Family("BERT", "all-MiniLM, bge, gte, e5, mxbai", "bert"),
    Family("RoBERTa, XLM-RoBERTa", "multilingual-e5, bge-m3", "xlm-roberta"),
    Family("MPNet", "all-mpnet-base-v2", "mpnet"),
    Family("NomicBERT", "nomic-embed-text v1, v1.5", "nomic_bert"),
    Family("Qwen 3", "Qwen3-Embedding-0.6B", "qwen3"),
    Family("ModernBERT", "gte-modernbert-base", "modernbert"),
    Family("GTE", "gte-base-en-v1.5, gte-multilingual-base", "new"),
    Family("Gemma 3", "embeddinggemma-300m", "gemma3_text"),
    Family("JinaBERT v2", "jina-embeddings-v2-base-en", "jina-bert"),
    Family("EuroBERT", "EuroBERT-210m", "eurobert"),
)
"""The rows of the table. Families that differ from a row in names alone are left out."""


def tables(effort: Effort) -> Iterator[Table]:
    """Make one row for each family."""
    rows: list[list[Cell]] = [[family.name, family.models, _megabytes(family), *_speeds(family, effort)] for family in FAMILIES]
    yield Table(
        "Families: speed at a real model's shape",
        [
            f"1 thread, {LAYERS} layers of the first model's shape with random weights, against quantize_dynamic per channel of",
            "the same network in ONNX's operators; MB: the whole model as int8",
        ],
        {"family": "s", "models": "s", "MB": ".0f"} | {f"speed at {length}": ".2f" for length in LENGTHS},
        rows,
    )


@cache
def _configs() -> Mapping[str, Mapping[str, Any]]:
    configs: Mapping[str, Mapping[str, Any]] = json.loads((references.FOLDER.parent / "used_models.json").read_text())["families"]
    return configs


def _shape(family: Family) -> Shape:
    return Shape.read(Configuration("config.json", _configs()[family.config]))


def _megabytes(family: Family) -> float:
    """Return the size of the whole model as int8: a byte for each weight of a matrix, and four for all other numbers."""
    return sum(math.prod(shape) * (1 if len(shape) > 1 else 4) for shape in _shape(family).tensors().values()) / 1e6


def _speeds(family: Family, effort: Effort) -> Iterator[float]:
    """Yield how many times as fast as stock int8 our int8 is, at each length."""
    whole = _shape(family)
    shape = replace(whole, spans=whole.spans[:LAYERS], vocabulary=VOCABULARY)
    for timings in _timings(shape, effort):
        yield timings.ratio("stock int8", "ours int8")


def _timings(shape: Shape, effort: Effort) -> Iterator[Timings]:
    weights = dict(_weights(shape))
    with tempfile.TemporaryDirectory() as scratch:
        texts = {length: np.random.default_rng(length).integers(0, VOCABULARY, (1, length), np.int64) for length in LENGTHS}
        write = partial(_graph, shape, weights)
        fitted = largest_activations(write, [texts[128][0]] * CALIBRATION)
        sessions = {
            "ours int8": Operators(kernels=os.environ.get("KERNELS", "")).session(_written(write(Int8(fitted)), scratch, "ours")),
            "stock int8": _stock(_written(write(Float32()), scratch, "plain")),
        }
        for ids in texts.values():
            runs = {name: partial(session.run, ["states"], {"input_ids": ids}) for name, session in sessions.items()}
            yield interleaved({name: burst(run, effort.burst, time.thread_time) for name, run in runs.items()}, effort.row)


def _weights(shape: Shape) -> Iterator[tuple[str, Array]]:
    generator = np.random.default_rng(SEED)
    for name, size in shape.tensors().items():
        values = SPREAD * generator.standard_normal(size, dtype=np.float32)
        yield name, values + np.float32(len(size) == 1 and name.endswith("weight"))


def _graph(shape: Shape, weights: Mapping[str, Array], precision: Precision) -> Graph:
    graph = Graph()
    states = Encoder(graph, precision.texts, shape, max(LENGTHS), weights, precision).write()
    graph.output(graph.op("states", "Identity", states), ["texts", "tokens", shape.hidden])
    return graph


def _written(graph: Graph, scratch: str, name: str) -> Path:
    folder = Path(scratch, name)
    folder.mkdir()
    graph.write(folder / GRAPH, WEIGHTS)
    return folder / GRAPH


def _stock(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(int8(onnx.load(path)).SerializeToString(), options)
