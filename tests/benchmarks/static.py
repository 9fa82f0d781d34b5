"""Measure static models: the cold start of a process against that of the default model's, and the time of a text.

Their tables are random, with the sizes of real ones: potion-base-8M has 256 dimensions, static-retrieval-mrl-en-v1 has 1,024. The
tokenizer is that of the default model.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.numpy

from handler.embedding.encoders import load
from handler.embedding.manifest import TOKENIZER, Manifest
from layers.model.builder import Order, build
from layers.model.sources import Source

from .cold import Deployment, in_turns, one_core, seconds_to_first_vector
from .effort import Effort
from .encoder import sequences
from .models import INT8
from .request import EVENT
from .rounds import burst, interleaved
from .tables import Table

MODELS = {"256 dimensions": (256, "int8"), "1024 dimensions": (1024, "int8"), "1024 dimensions in float32": (1024, "fp32")}
LENGTHS = (8, 20, 128, 512)
ENCODER = "all-MiniLM-L6-v2"
PASSAGES = 20
"""The passages that a built table is compared on. Its vectors are not what is measured."""


def tables(effort: Effort) -> Iterator[Table]:
    """Measure cold starts, and texts."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: _built(Path(scratch, name), *size) for name, size in MODELS.items()}
        yield _cold(effort, folders)
        yield _texts(effort, folders)


def _built(scratch: Path, dimension: int, precision: str) -> Path:
    """Build a model with random rows."""
    source = scratch / "source"
    source.mkdir(parents=True)
    modules = [{"path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (source / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    shutil.copy(INT8 / TOKENIZER, source)
    tokens = len(json.loads((source / TOKENIZER).read_bytes())["model"]["vocab"])
    rows = np.random.default_rng(1).standard_normal((tokens, dimension), np.float32)
    safetensors.numpy.save_file({"embedding.weight": rows}, source / "model.safetensors")
    build(Order(Source(source, "random", "1"), scratch / "model", precision, None, threads=1, passages=PASSAGES), lambda _: None)
    return scratch / "model"


def _cold(effort: Effort, folders: Mapping[str, Path]) -> Table:
    deployment = Deployment.found()
    dimension = Manifest.read(INT8).dimension
    processes = {ENCODER: partial(seconds_to_first_vector, deployment, dimension, "handler", str(EVENT))}
    for name, folder in folders.items():
        dimension = MODELS[name][0]
        start = partial(seconds_to_first_vector, deployment, dimension, "handler", str(EVENT), MODEL_DIR=str(folder))
        processes[f"static, {name}"] = start
    with one_core() as core:
        for process in processes.values():
            process()  # writes the .pyc and brings the files into memory
        seconds, cpu_seconds = in_turns(processes, effort.cold.rounds)
    sizes = {ENCODER: _megabytes(INT8), **{f"static, {name}": _megabytes(folder) for name, folder in folders.items()}}
    return Table(
        "Static: milliseconds from process start to first vector",
        [
            f"whole processes of {deployment.name} on {core}, .pyc and files warm for all: import handler.functions.api, answer",
            f"one HTTP event; MB: the model folder; int8 unless float32 is named; encoder: {ENCODER} in int8",
        ],
        {"model": "s", "MB": ".0f", "ms": ".1f", "CPU ms": ".1f", "CPU time / encoder": ".2f"},
        [
            (
                name,
                sizes[name],
                seconds.median(name) * 1000,
                cpu_seconds.median(name) * 1000,
                cpu_seconds.ratio(name, ENCODER),
            )
            for name in processes
        ],
    )


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def _texts(effort: Effort, folders: Mapping[str, Path]) -> Table:
    encoders = {name: load(folder, Manifest.read(folder), threads=1) for name, folder in folders.items()}
    timings = interleaved(
        {
            f"{name} {tokens}": burst(partial(encoder.encode, sequences(tokens, 1)), effort.burst, time.thread_time)
            for name, encoder in encoders.items()
            for tokens in LENGTHS
        },
        effort.row,
    )
    return Table(
        "Static: microseconds from token ids to a vector",
        ["CPU time of 1 thread; int8 unless float32 is named"],
        {"tokens": "d"} | dict.fromkeys(MODELS, ".1f"),
        [(tokens, *(timings.median(f"{name} {tokens}") * 1e6 for name in MODELS)) for tokens in LENGTHS],
    )
