"""The benchmarks run, and tell everything they are there for. Figures are not judged: a slow machine is no failure."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from .comparison import comparison
from .machine import Machine
from .plots import PLOTS
from .precisions import spearman
from .tables import Table, write_figures

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "Fidelity: cosine to our fp32 build": ["mean", "minimum", "top-10 agreement"],
    "Encoder, 1 thread: milliseconds a text": ["ours int8", "stock int8", "ours fp32", "speed / stock", "speed / fp32"],
    "Encoder, all threads: texts a second": ["ours int8", "stock int8", "ours fp32", "speed / stock", "speed / fp32"],
    "Precisions of the default model": ["MB", "texts/s", "speed / int8", "speed / untreated", "mean", "minimum"],
    "Mixed corpus: texts a second": ["texts/s", "speed / stock", "speed / 1 thread"],
    "Pipeline: texts a second": ["texts/s", "speed / encoder"],
    "Growth by length: milliseconds a text": ["ms", "µs / token", "doubling"],
    "Growth by step: milliseconds of all operators of a kind": ["64 tokens", "128 tokens", "256 tokens", "512 tokens", "doubling"],
    "Growth by batch: milliseconds a batch": ["ms", "texts/s", "doubling"],
    "Growth by threads: texts a second": ["texts/s", "speed / 1 thread"],
    "Growth by model: milliseconds a layer": ["layers", "million weights a layer", "ms a layer", "ns a weight"],
    "Warm request: milliseconds": ["request", "tokenise", "encode", "framework", "budget"],
    "Warm request of 20 tokens: microseconds by step": ["µs"],
    "Encoding: milliseconds for vectors to the bytes of an answer": ["float", "base64", "bytes a number"],
    "Cache: milliseconds a request": ["texts", "encode", "memory", "table", "miss", "ours"],
    "Codec: 1 - cosine": ["mean", "maximum"],
    "Memory: milliseconds a request": ["vCPUs", "1 text of 20 tokens", "1 text of 128", "32 texts of 128"],
    "Cold: milliseconds from process start to first vector": ["ms", "time / floor", "CPU ms", "CPU time / floor"],
    "Cold: milliseconds of CPU time by step": ["ms", "with keys and table"],
    "Restored: milliseconds of CPU time after a snapshot": ["ms", "with keys and table"],
}
ROWS = {
    "Fidelity: cosine to our fp32 build": {"stock fp32", "ours int8", "stock int8"},
    "Encoder, 1 thread: milliseconds a text": {8, 32, 128, 256, 512},
    "Encoder, all threads: texts a second": {8, 32, 128, 256, 512},
    "Pipeline: texts a second": {"encoder", "pipeline"},
    "Precisions of the default model": {"int8, untreated", "int8", "int4", "fp16", "fp32"},
    "Growth by length: milliseconds a text": {8, 16, 32, 64, 128, 256, 512},
    "Growth by batch: milliseconds a batch": {1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
    "Growth by model: milliseconds a layer": {"MiniLM", "BERT base", "gte-large"},
    "Warm request: milliseconds": {8, 20, 128, 256},
    "Cold: milliseconds from process start to first vector": {
        "bare python",
        "floor",
        "onnxruntime, stock int8",
        "handler",
        "with keys and table",
    },
}


def test_the_quick_run_prints_and_writes_every_table_and_ratio(tmp_path: Path) -> None:
    """All benchmarks, in one process as `make bench` runs them, with the least effort."""
    figures, plots = tmp_path / "benchmarks.json", tmp_path / "plots"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--out", str(figures), "--plots", str(plots)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tables = json.loads(figures.read_text("utf-8"))["tables"]
    assert tables.keys() == TABLES.keys()
    for title, columns in TABLES.items():
        assert title in done.stdout
        first, *others = tables[title][0]
        assert others[: len(columns)] == columns
        assert all(isinstance(row[name], int | float) for row in tables[title] for name in columns)
        if title in ROWS:
            assert {row[first] for row in tables[title]} == ROWS[title]
    assert len(tables["Mixed corpus: texts a second"]) == 3
    for name in PLOTS:
        drawing = ET.fromstring((plots / f"{name}.svg").read_bytes())  # noqa: S314 - our own
        assert drawing.findall("{http://www.w3.org/2000/svg}polyline")


def test_what_is_worse_than_the_committed_figures_is_told_and_nothing_else(tmp_path: Path) -> None:
    """A ratio within the tolerance, a better one, a new row, and a time that only another machine explains: none is told."""
    title = "Encoder, 1 thread: milliseconds a text"
    columns = {"tokens": "d", "ours int8": ".3f", "speed / stock": ".2f"}
    results = tmp_path / "results.json"
    assert "no results.json" in comparison(results, [])
    before = [{"tokens": tokens, "ours int8": 1.0, "speed / stock": 1.5} for tokens in (8, 32, 128)]
    results.write_text(json.dumps({"tables": {title: before}}))
    fine = [(8, 9.0, 1.4), (32, 1.0, 1.9), (256, 1.0, 1.0)]
    assert comparison(results, [Table(title, [], columns, fine)]) == "No ratio is worse than in results.json."
    told = comparison(results, [Table(title, [], columns, [*fine, (128, 1.0, 1.2)])])
    assert told.splitlines()[1:] == [f"  {title}, tokens 128: speed / stock 1.2, was 1.5"]


def test_spearman_s_correlation_is_of_ranks() -> None:
    """1 for the same order of pairs, however the cosines differ; what another order gives, by hand."""
    angles = np.array([0.0, 0.1, 0.4, 0.9])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    wider = np.stack([np.cos(2 * angles), np.sin(2 * angles)], axis=1).astype(np.float32)
    assert spearman(wider, circle) == pytest.approx(1)
    turned = circle[[1, 0, 2, 3]]
    # Pairs by their distance, 0.1 to 0.9: the first two of four texts changed places, and with them two pairs of pairs.
    assert spearman(turned, circle) == pytest.approx(1 - 6 * 4 / (6 * 35))


def test_figures_of_one_benchmark_leave_those_of_the_others_in_their_file(tmp_path: Path) -> None:
    """So that the figures committed can be renewed in parts."""
    path, machine = tmp_path / "results.json", Machine.this()
    for title, number in (("one", 1), ("other", 2), ("one", 3)):
        write_figures(path, machine, [Table(title, [], {"number": "d"}, [(number,)])], quick=True)
    assert json.loads(path.read_text("utf-8"))["tables"] == {"one": [{"number": 3}], "other": [{"number": 2}]}
