"""Measure each precision of the default model: size, speed, and how much its vectors differ."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from handler.embedding.manifest import GRAPH, WEIGHTS, Manifest, sha256
from handler.vectors import TokenIds, Vectors
from layers.model import packages
from layers.model.builder import Order, build
from layers.model.corpus import passages
from layers.model.fidelity import Fidelity
from layers.model.graph import Graph
from layers.model.int8 import Int8, refine
from layers.model.precision import PRECISIONS, Linear
from layers.model.sources import Request, find

from .effort import Effort
from .machine import cores
from .models import FP32, INT8, default, ours, tokenization
from .rounds import interleaved, once
from .tables import Table, say

UNTREATED = "int8, untreated"
FINE = "int8, fine steps"
FOLDER = Path("build", "benchmarks")
BUILDER = Path("layers", "model")
TOLD = 12
"""The number of passages with which a build made here measures itself; the table uses all."""
TIMED = 32
"""The number of passages of one turn, each embedded alone."""


class Untreated(Int8):
    """Int8 with the outliers left in, which shows what taking them out costs and brings."""

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        """Return that there are no outliers."""
        return super().linear(graph, value, replace(layer, outliers=False))

    def order(self, name: str) -> slice:
        """Return the passages unchanged."""
        del name
        return slice(None)


def tables(effort: Effort) -> Iterator[Table]:
    """Make one row for each precision."""
    folders = _folders()
    scored = _sequences(effort.scored_passages)
    vectors = {name: ours(folder, cores()).encode(scored) for name, folder in folders.items()}
    encoders = {name: ours(folder, 1) for name, folder in folders.items()}
    timed = scored[:TIMED]
    timings = interleaved({name: once(partial(encoder.encode, timed)) for name, encoder in encoders.items()}, effort.precisions)
    rows = []
    for name, folder in folders.items():
        fidelity = Fidelity.of(vectors[name], vectors["fp32"])
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        speeds = timings.ratio("int8", name), timings.ratio(UNTREATED, name)
        cosines = fidelity.mean_cosine, fidelity.minimum_cosine, fidelity.top_10_agreement
        rows.append((name, size, len(timed) / timings.median(name), *speeds, *cosines, spearman(vectors[name], vectors["fp32"])))
    yield Table(
        "Precisions of the default model",
        [
            f"fidelity: {len(scored)} scoring passages against the fp32 vectors, Spearman's rank correlation over all their pairs;",
            f"speed: {len(timed)} of them, 1 thread, each alone",
        ],
        {"precision": "s", "MB": ".1f", "texts/s": ".1f", "speed / int8": ".2f", "speed / untreated": ".2f"}
        | {"mean": ".6f", "minimum": ".6f", "top-10 agreement": ".3f", "Spearman": ".4f"},
        rows,
    )


def spearman(vectors: Vectors, reference: Vectors) -> float:
    """Compare the order in which two models put all pairs of texts by their cosine: the correlation of the pairs' ranks."""
    ours, theirs = (np.argsort(np.argsort(_pairs(each))).astype(np.float64) for each in (vectors, reference))
    middle = (len(ours) - 1) / 2
    return float((ours - middle) @ (theirs - middle) / np.square(ours - middle).sum())


def _pairs(vectors: Vectors) -> np.ndarray:
    wide = vectors.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    similarities: np.ndarray = unit @ unit.T
    return similarities[np.triu_indices(len(unit), 1)]


def _sequences(count: int) -> list[TokenIds]:
    return [tokens.ids for tokens in tokenization().tokenize(passages("scoring", count), "right")]


# --- Models that only this table needs --------------------------------------------------------------------


def _folders() -> Mapping[str, Path]:
    made = {"int8": INT8, "fp32": FP32}
    variants = {
        UNTREATED: _variant("untreated", _write_untreated),
        FINE: _variant("fine", lambda folder: refine(folder / GRAPH)),
    }
    return variants | {name: made.get(name) or _built(name) for name in PRECISIONS}


def _built(precision: str) -> Path:
    """Return the default model in `precision`; build it if the builder changed since."""
    folder = FOLDER / precision
    if _stale(folder):
        source = find(Request(packages.DEFAULT, Path("build", "sources"), None), say)
        build(Order(source, folder, precision, None, 1, passages=TOLD), say)
    return folder


def _variant(name: str, change: Callable[[Path], object]) -> Path:
    """Return the default model as int8, after a change of the files in its folder."""
    folder = FOLDER / name
    if _stale(folder):
        shutil.copytree(INT8, folder, dirs_exist_ok=True)
        change(folder)
        manifest = Manifest.read(INT8)
        replace(manifest, files={file: sha256(folder, file) for file in manifest.files}, fidelity={}).write(folder)
    return folder


def _write_untreated(folder: Path) -> None:
    default().graph(Untreated({})).write(folder / GRAPH, WEIGHTS)


def _stale(folder: Path) -> bool:
    manifest = folder / "manifest.json"
    return not manifest.exists() or manifest.stat().st_mtime < max(file.stat().st_mtime for file in BUILDER.glob("*.py"))
