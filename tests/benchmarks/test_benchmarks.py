"""The benchmarks run, and tell everything they are there for. Figures are not judged: a slow machine is no failure."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "Fidelity: cosine to our fp32 build": ["mean", "minimum", "top-10 agreement"],
    "Encoder, 1 thread: milliseconds a text": ["ours int8", "stock int8", "ours fp32", "speed / stock", "speed / fp32"],
    "Encoder, all threads: texts a second": ["ours int8", "stock int8", "ours fp32", "speed / stock", "speed / fp32"],
    "Mixed corpus: texts a second": ["texts/s", "speed / stock", "speed / 1 thread"],
    "Pipeline: texts a second": ["texts/s", "speed / encoder"],
    "Warm request: milliseconds": ["request", "tokenise", "encode", "framework", "budget"],
    "Warm request of 20 tokens: microseconds by step": ["µs"],
    "Encoding: milliseconds for vectors to the bytes of an answer": ["float", "base64", "bytes a number"],
    "Cache: milliseconds a request": ["texts", "encode", "memory", "table", "miss", "ours"],
    "Codec: 1 - cosine": ["mean", "maximum"],
    "Cold: milliseconds from process start to first vector": ["ms", "time / floor", "CPU ms", "CPU time / floor"],
    "Cold: milliseconds of CPU time by step": ["ms", "with keys and table"],
}
ROWS = {
    "Fidelity: cosine to our fp32 build": {"stock fp32", "ours int8", "stock int8"},
    "Encoder, 1 thread: milliseconds a text": {8, 32, 128, 256, 512},
    "Encoder, all threads: texts a second": {8, 32, 128, 256, 512},
    "Pipeline: texts a second": {"encoder", "pipeline"},
    "Warm request: milliseconds": {8, 20, 128, 256},
    "Cold: milliseconds from process start to first vector": {"bare python", "floor", "handler", "with keys and table"},
}


def test_the_quick_run_prints_and_writes_every_table_and_ratio(tmp_path: Path) -> None:
    """All benchmarks, in one process as `make bench` runs them, with the least effort."""
    figures = tmp_path / "benchmarks.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--out", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
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
