"""Measure the speed of each family at a real model's shape with random weights.

The baseline is the family's own ONNX file, quantized by ONNX Runtime's own tool (quantize_dynamic, per channel). Torch makes that
file in the environment that own_files.py describes:

    python -m tests.layers.model.oracle.own_files build/families

A family without a file there is compared with our float32 graph, quantized in the same way.
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
from numpy.typing import NDArray

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
from .rounds import burst, interleaved
from .stock import int8
from .tables import Cell, Table

LENGTHS = (32, 128, 512)
LAYERS = 6
"""The number of timed layers: a whole pattern of windows of each family. The time of all contenders grows with it alike."""
VOCABULARY = 4_096
"""The number of tokens that are timed. A token's row is found in the same time in a table of any size."""
CALIBRATION = 2
"""The number of random texts that int8 is fitted to. It changes no time."""
OWN = Path("build", "families")
"""The folder of the families' own ONNX files."""
OWN_FILE, PLAIN = "own ONNX file", "our float32 graph"
"""The names of the baselines. Each is quantized by ONNX Runtime's own tool."""
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
    rows = [_row(family, effort) for family in FAMILIES[: effort.families]]
    yield Table(
        "Families: speed at a real model's shape",
        [
            f"1 thread, CPU time, {LAYERS} layers of the first model's shape with random weights,",
            f"against quantize_dynamic per channel of the family's {OWN_FILE}, or else of {PLAIN};",
            f"files that are missing in {OWN} are made by `python -m tests.layers.model.oracle.own_files {OWN}` where torch is;",
            "MB: the whole model as int8",
        ],
        {"family": "s", "MB": ".0f"}
        | {f"speed at {length}": ".2f" for length in LENGTHS}
        | {"against int8 of": "s", "models": "s"},
        rows,
    )


def _row(family: Family, effort: Effort) -> tuple[Cell, ...]:
    baseline = OWN_FILE if _own(family).exists() else PLAIN
    return (family.name, _megabytes(family), *_speeds(family, effort), baseline, family.models)


@cache
def _configs() -> Mapping[str, Mapping[str, Any]]:
    configs: Mapping[str, Mapping[str, Any]] = json.loads((references.FOLDER.parent / "used_models.json").read_text())["families"]
    return configs


def _shape(family: Family) -> Shape:
    return Shape.read(Configuration("config.json", _configs()[family.config]))


def _megabytes(family: Family) -> float:
    """Return the size of the whole model as int8: a byte for each weight of a matrix, and four for all other numbers."""
    return sum(math.prod(shape) * (1 if len(shape) > 1 else 4) for shape in _shape(family).tensors().values()) / 1e6


def _own(family: Family) -> Path:
    return OWN / f"{family.config}.onnx"


def _speeds(family: Family, effort: Effort) -> Iterator[float]:
    """Yield how many times as fast as the baseline our int8 is, at each length."""
    whole = _shape(family)
    shape = replace(whole, spans=whole.spans[:LAYERS], vocabulary=VOCABULARY)
    weights = dict(_weights(shape))
    with tempfile.TemporaryDirectory() as scratch:
        texts = [np.random.default_rng(length).integers(0, VOCABULARY, (1, length), np.int64) for length in LENGTHS]
        write = partial(_graph, shape, weights)
        fitted = largest_activations(write, [texts[1][0]] * CALIBRATION)
        ours = Operators(kernels=os.environ.get("KERNELS", "")).session(_written(write(Int8(fitted)), scratch, "ours"))
        stock = _stock(_own(family) if _own(family).exists() else _written(write(Float32()), scratch, "plain"))
        for ids in texts:
            runs = {"ours": partial(ours.run, None, {"input_ids": ids}), "stock": partial(stock.run, None, _inputs(stock, ids))}
            turns = {name: burst(run, effort.burst, time.thread_time) for name, run in runs.items()}
            yield interleaved(turns, effort.row).ratio("stock", "ours")


def _inputs(session: onnxruntime.InferenceSession, ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of a file for one text: its token ids, and what exporters add to them."""
    known = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "position_ids": np.arange(ids.shape[1])[np.newaxis],
    }
    return {each.name: known[each.name] for each in session.get_inputs()}


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
