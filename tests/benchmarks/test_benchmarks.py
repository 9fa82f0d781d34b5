"""The benchmarks run, and tell everything they are there for. Figures are not judged: a slow machine is no failure."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from .comparison import comparison
from .machine import AVX2, AVX512_VNNI, Machine, processor_class
from .plots import PLOTS
from .precisions import spearman
from .results import RESULTS, NotMeasured, Section, chosen, keep, read, renew, section_name
from .tables import Table

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "Bounds: multiply-adds by mix of instructions": ["MAC/cycle", "GMAC/s", "GHz"],
    "Bounds: reading by level": ["KB", "GB/s", "bytes/cycle"],
    "Linear: GMAC/s by rows": ["384x1152", "384x384", "384x1536 gelu", "1536x384", "bound"],
    "Operators: share of the bound": ["µs", "GMAC/s", "bound µs", "of its bound"],
    "Operators of a text: where the time goes": ["µs", "of the text", "bound µs", "of its bound"],
    "Fidelity: cosine to our fp32 build": ["mean", "minimum", "top-10 agreement"],
    "Encoder, 1 thread: milliseconds a text": ["ours int8", "stock int8", "ours fp32", "speed / stock", "speed / fp32"],
    "Encoder, all threads: texts a second": ["ours int8", "stock int8", "ours fp32", "speed / stock", "speed / fp32"],
    "One text on all cores: milliseconds a text": ["1 thread", "all threads", "speed / 1 thread", "bound", "share"],
    "One pooled token, 1 thread: milliseconds a text": ["all computed", "one computed", "speed"],
    "Precisions of the default model": ["MB", "texts/s", "speed / int8", "speed / untreated", "mean", "minimum"],
    "Families: cosines of tiny random models": ["texts", "fp32 minimum", "int8 mean", "int8 minimum"],
    "Families: speed at a real model's shape": ["MB", "speed at 32", "speed at 128", "speed at 512"],
    "Small vectors: bytes and recall": ["dimensions", "bytes", "smaller", "recall", "rescored"],
    "Small vectors: recall by dimensions": ["float32", "int8", "int8 rescored", "binary", "binary rescored"],
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
    "Search: seconds in a file of vectors": ["MB", "s", "filtered s", "start s", "peak MB"],
    "Retrieval: by chunks": ["passages", "recall@1", "recall@5", "MRR", "passage@5"],
    "Retrieval: by model and vectors": ["bytes a vector", "recall@1", "recall@5", "MRR", "passage@5"],
    "Memory: milliseconds a request": ["vCPUs", "1 text of 20 tokens", "1 text of 128", "32 texts of 128"],
    "Cold: milliseconds from process start to first vector": ["ms", "time / floor", "CPU ms", "CPU time / floor"],
    "Cold: milliseconds of CPU time by step": ["ms", "with keys and table"],
    "Restored: milliseconds of CPU time after a snapshot": ["ms", "with keys and table"],
    "Static: milliseconds from process start to first vector": ["MB", "ms", "CPU ms", "CPU time / encoder"],
    "Static: microseconds from token ids to a vector": ["256 dimensions", "1024 dimensions", "1024 dimensions in float32"],
}
ROWS = {
    "Linear: GMAC/s by rows": {1, 4, 8, 32, 128},
    "Fidelity: cosine to our fp32 build": {"stock fp32", "ours int8", "stock int8"},
    "Encoder, 1 thread: milliseconds a text": {8, 32, 128, 256, 512},
    "Encoder, all threads: texts a second": {8, 32, 128, 256, 512},
    "Pipeline: texts a second": {"encoder", "pipeline"},
    "Precisions of the default model": {"int8, untreated", "int8, fine steps", "int8", "int4", "fp16", "fp32"},
    "Families: speed at a real model's shape": {"BERT"},
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
    "Static: microseconds from token ids to a vector": {8, 20, 128, 512},
}


def test_the_quick_run_prints_and_writes_every_table_and_ratio(tmp_path: Path) -> None:
    """All benchmarks, in one process as `make bench` runs them, with the least effort."""
    figures, plots = tmp_path / "benchmarks.json", tmp_path / "plots"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--out", str(figures), "--plots", str(plots)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (section,) = read(figures).values()
    tables = section.tables
    assert f"  on {processor_class()}\n" in done.stdout
    assert tables.keys() == TABLES.keys()
    for title, columns in TABLES.items():
        assert title in done.stdout
        first, *others = tables[title][0]
        assert others[: len(columns)] == columns
        assert all(isinstance(row[name], int | float) for row in tables[title] for name in columns)
        if title in ROWS:
            assert {row[first] for row in tables[title]} == ROWS[title]
    assert len(tables["Mixed corpus: texts a second"]) == 3
    assert len(tables["Operators: share of the bound"]) == 4 * 5 + 3 + 3 + 10 * 3 + 4
    kinds = {row["operator"] for row in tables["Operators of a text: where the time goes"]}
    linear = [f"Linear {shape}" for shape in ("384x1152", "384x384", "384x1536", "1536x384")]
    for tokens in (8, 32, 128, 256, 512):
        assert {f"{tokens} tokens: {kind}" for kind in (*linear, "Attention", "AddNorm", "between operators", "all")} <= kinds
    for name in PLOTS:
        drawing = ET.fromstring((plots / f"{name}.svg").read_bytes())  # noqa: S314 - our own
        assert drawing.findall("{http://www.w3.org/2000/svg}polyline")


def test_what_is_worse_than_the_committed_figures_is_reported_and_nothing_else(tmp_path: Path) -> None:
    """A ratio within the tolerance, a better one, a new row, and a time that only another machine explains are not reported."""
    title = "Encoder, 1 thread: milliseconds a text"
    columns = {"tokens": "d", "ours int8": ".3f", "speed / stock": ".2f"}
    path = tmp_path / "results.json"
    before = Table(title, [], columns, [(tokens, 1.0, 1.5) for tokens in (8, 32, 128)])
    renew(path, AVX2, Section.of(Machine.this(), [before], quick=False))
    fine = [(8, 9.0, 1.4), (32, 1.0, 1.9), (256, 1.0, 1.0)]
    none = f"No ratio is worse than in results.json for {AVX2}."
    assert comparison(path, AVX2, [Table(title, [], columns, fine)]) == none
    worse = comparison(path, AVX2, [Table(title, [], columns, [*fine, (128, 1.0, 1.2)])])
    assert worse.splitlines()[1:] == [f"  {title}, tokens 128: speed / stock 1.2, was 1.5"]


def test_figures_are_compared_with_those_of_the_same_class_of_processor_only(tmp_path: Path) -> None:
    """Another processor's ratios say nothing about a change of ours."""
    path = tmp_path / "results.json"
    worse = Table("t", [], {"tokens": "d", "speed / stock": ".2f"}, [(8, 0.1)])
    assert f"results.json has no figures for {AVX2}" in comparison(path, AVX2, [worse])
    better = replace(worse, rows=[(8, 1.0)])
    renew(path, AVX512_VNNI, Section.of(Machine.this(), [better], quick=False))
    assert f"no figures for {AVX2} to compare with (it has {AVX512_VNNI})" in comparison(path, AVX2, [worse])
    assert "was 1" in comparison(path, AVX512_VNNI, [worse])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu avx2 fma avx512f avx512_vnni", AVX512_VNNI),
        ("flags\t\t: fpu avx2 fma avx_vnni", "x86_64 AVX-VNNI"),
        ("flags\t\t: fpu avx2 fma", AVX2),
        ("Features\t: fp asimd asimddp", "arm64"),
        ("Features\t: fp asimd asimddp i8mm", "arm64 i8mm"),
    ],
)
def test_a_processor_s_class_is_the_best_way_it_has_to_multiply_bytes(tmp_path: Path, flags: str, expected: str) -> None:
    """Linux lists the instruction sets of a processor."""
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: A processor\n{flags}\n")
    assert processor_class(path) == expected


def test_spearman_s_correlation_is_of_ranks() -> None:
    """1 for the same order of pairs, however the cosines differ; what another order gives, by hand."""
    angles = np.array([0.0, 0.1, 0.4, 0.9])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    wider = np.stack([np.cos(2 * angles), np.sin(2 * angles)], axis=1).astype(np.float32)
    assert spearman(wider, circle) == pytest.approx(1)
    turned = circle[[1, 0, 2, 3]]
    # Pairs by their distance, 0.1 to 0.9: the first two of four texts changed places, and with them two pairs of pairs.
    assert spearman(turned, circle) == pytest.approx(1 - 6 * 4 / (6 * 35))


def test_figures_of_kernels_that_a_setting_chose_are_not_those_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels held back on a fast processor are compared with their like."""
    monkeypatch.delenv("KERNELS", raising=False)
    assert section_name(AVX512_VNNI) == AVX512_VNNI
    monkeypatch.setenv("KERNELS", "avx2")
    assert section_name(AVX512_VNNI) == f"{AVX512_VNNI} with KERNELS=avx2"


def _section(*numbers: tuple[str, int], quick: bool = False) -> Section:
    return Section.of(Machine.this(), [Table(title, [], {"number": "d"}, [(number,)]) for title, number in numbers], quick=quick)


def test_figures_of_one_benchmark_leave_those_of_the_others_and_other_classes_in_their_file(tmp_path: Path) -> None:
    """The committed figures can be renewed in parts, on one machine after the other."""
    path = tmp_path / "results.json"
    renew(path, AVX512_VNNI, _section(("one", 9)))
    for title, number in (("one", 1), ("other", 2), ("one", 3)):
        renew(path, AVX2, _section((title, number)))
    assert read(path)[AVX2].tables == {"one": [{"number": 3}], "other": [{"number": 2}]}
    assert chosen(read(path), "one") == (AVX2, [{"number": 3}])
    assert chosen(read(path), "one", [AVX512_VNNI]) == (AVX512_VNNI, [{"number": 9}])
    with pytest.raises(NotMeasured, match='"third" was not measured'):
        chosen(read(path), "third")


def test_each_table_names_the_processor_that_it_was_measured_on(tmp_path: Path) -> None:
    """Two processors of one class can renew different tables."""
    path, machine = tmp_path / "results.json", Machine.this()
    for title, processor in (("one", "A"), ("other", "A"), ("other", "B")):
        section = Section.of(replace(machine, processor=processor), [Table(title, [], {"number": "d"}, [(1,)])], quick=False)
        renew(path, AVX2, section)
    assert read(path)[AVX2].processors == {"one": "A", "other": "B"}


def test_a_quick_run_s_figures_are_neither_kept_nor_mixed_with_a_full_run_s(tmp_path: Path) -> None:
    """They only show that everything runs."""
    measured, committed = tmp_path / "benchmarks.json", tmp_path / "results.json"
    renew(measured, AVX2, _section(("one", 1), quick=True))
    with pytest.raises(NotMeasured, match="quick run"):
        keep(measured, committed)
    assert not committed.exists()
    renew(measured, AVX2, _section(("other", 2)))
    assert keep(measured, committed) == [AVX2]
    assert read(committed)[AVX2].tables == {"other": [{"number": 2}]}


@pytest.mark.parametrize(("measured", "says"), [("nothing", "Nothing to keep"), ("quickly", "holds a quick run's figures")])
def test_the_command_that_keeps_figures_says_in_one_sentence_what_cannot_be_kept(measured: str, says: str, tmp_path: Path) -> None:
    """The committed figures do not change."""
    if measured == "quickly":
        renew(tmp_path / "build" / "benchmarks.json", AVX2, _section(("one", 1), quick=True))
    before = RESULTS.read_bytes()
    command = [sys.executable, "-m", "tests.benchmarks.results"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1), done.stderr
    assert says in done.stdout
    assert RESULTS.read_bytes() == before
