"""Prepare the models, let the contenders take turns, print the tables: `make peers` installs what it needs and calls this."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from handler.bootstrap import load_service
from handler.service import Options
from layers.model import packages
from layers.model.corpus import passages
from layers.model.fidelity import Fidelity
from tests.benchmarks.hold.copies import Unknown
from tests.benchmarks.hold.effect import require_saturation
from tests.benchmarks.hold.environment import Environment
from tests.benchmarks.hold.setting import CTRANSLATE2, ONNXRUNTIME, OPENVINO, OURS, TORCH, Hold
from tests.benchmarks.machine import Machine, cores
from tests.benchmarks.models import FP32, INT8, SOURCES
from tests.benchmarks.request import text_of
from tests.benchmarks.results import Section, renew
from tests.benchmarks.tables import Cell, Table, say

from .contender import ENVIRONMENTS, SCRIPTS, Contender, base_environment

MODEL = ENVIRONMENTS / "model"
ORIGINAL = ENVIRONMENTS / "original"
"""The model's own folder; infinity's sentence-transformers is too old for the one that a new one has saved."""
US = Contender("ours", Path(".venv"), "ours.py", INT8, OURS)
PEERS = [
    Contender(name, ENVIRONMENTS / environment, script, folder, library)
    for name, environment, script, folder, library in (
        ("OpenVINO int8", "openvino", "openvino_int8.py", MODEL, OPENVINO),
        ("OpenVINO int8, our schedule", "openvino", "openvino_our_schedule.py", MODEL, OPENVINO),
        ("onnxruntime int8, our schedule", "torch", "onnx_our_schedule.py", MODEL, ONNXRUNTIME),
        ("CTranslate2 int8", "torch", "ctranslate2_int8.py", MODEL, CTRANSLATE2),
        ("light-embed int8", "light-embed", "light_embed_int8.py", MODEL, ONNXRUNTIME),
        ("fastembed int8", "fastembed", "fastembed_int8.py", MODEL, ONNXRUNTIME),
        ("sentence-transformers ONNX int8", "torch", "sentence_transformers_onnx.py", MODEL, ONNXRUNTIME),
        ("infinity torch", "infinity", "infinity_torch.py", ORIGINAL, TORCH),
        ("sentence-transformers torch", "torch", "sentence_transformers_torch.py", ORIGINAL, TORCH),
    )
]
SINGLE_TOKENS = (20, 128)
SINGLE_TIMES = 20
CALIBRATION_TEXTS = 128
PASSAGES, ROUNDS = 500, 3
"""Of a full run; one with less is a quick one, whose figures are not kept."""


@dataclass(slots=True)
class Figures:
    """The measurements of one contender, a number for each round."""

    cold: list[float] = field(default_factory=list)
    corpus: list[float] = field(default_factory=list)
    single: dict[int, list[float]] = field(default_factory=lambda: {tokens: [] for tokens in SINGLE_TOKENS})
    peak_mb: float = 0.0
    fidelity: Fidelity | None = None


def main() -> int:
    """Measure all that are installed, and say which are not."""
    arguments = _arguments()
    machine, threads = Machine.this(), cores()
    contenders = [US, *(peer for peer in PEERS if peer.installed)]
    try:
        hold = Hold.of(os.environ.get("ISA", ""), machine.processor_class)
        held = {contender.name: _held(contender, hold) for contender in contenders}
    except Unknown as reason:
        say(str(reason))
        return 1
    for missing in (peer for peer in PEERS if not peer.installed):
        say(f"Skipped: {missing.name} ({missing.environment} is not there; `make peers` makes it)")
    _prepare()
    say(f"{machine}\n")
    texts = list(dict.fromkeys(passages("scoring", arguments.passages)))
    try:
        figures = _measured(contenders, texts, arguments.rounds, threads, held)
    except Unknown as reason:
        say(str(reason))
        return 1
    table = _table(figures, len(texts), threads, arguments.rounds)
    say(str(table.on(hold.name)))
    quick = arguments.passages < PASSAGES or arguments.rounds < ROUNDS
    renew(arguments.out, hold.name, Section.of(machine, [table], quick=quick))
    return 0


def _prepare() -> None:
    """Write the others' forms of the model, once."""
    if not ORIGINAL.exists():
        ORIGINAL.symlink_to(packages.pinned(packages.DEFAULT, SOURCES, say).resolve())
    if not (MODEL / "onnx").exists() and _python("torch").exists():
        subprocess.run([_python("torch"), SCRIPTS / "export.py", ORIGINAL, MODEL], check=True, stderr=subprocess.DEVNULL)
    if not (MODEL / "openvino").exists() and _python("openvino").exists():
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(passages("calibration", CALIBRATION_TEXTS), file)
            file.flush()
            subprocess.run(
                [_python("openvino"), SCRIPTS / "quantize_openvino.py", MODEL, file.name],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


def _python(environment: str) -> Path:
    return ENVIRONMENTS / environment / "bin" / "python"


def _held(contender: Contender, hold: Hold) -> Environment:
    """Return what holds a contender back, and check it if it computes with ONNX Runtime.

    Raises:
        Unknown: it cannot be held back.
    """
    held = hold.environment(contender.library, contender.environment)
    if hold.held and contender.library in {OURS, ONNXRUNTIME}:
        require_saturation(contender.interpreter, held.over(base_environment()))
    return held


def _measured(
    contenders: Sequence[Contender], texts: list[str], rounds: int, threads: int, held: Mapping[str, Environment]
) -> dict[str, Figures]:
    """By turns: in every round each starts once more, then each takes its texts."""
    figures = {contender.name: Figures() for contender in contenders}
    service = load_service({"MODEL_DIR": str(FP32)})
    reference = service.embed(texts, Options(use_cache=False)).vectors
    singles = {tokens: [text_of(tokens)] for tokens in SINGLE_TOKENS}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        running = {each.name: stack.enter_context(each.start(threads, held[each.name])) for each in contenders}
        for name, peer in running.items():
            vectors = peer.vectors(texts, Path(folder, "vectors.npy"))
            figures[name].fidelity = Fidelity.of(vectors, reference)
            peer.require_hold()
        for _ in range(rounds):
            for contender in contenders:
                with contender.start(threads, held[contender.name]) as cold:
                    figures[contender.name].cold.append(cold.cold_seconds)
            for name, peer in running.items():
                figures[name].corpus += peer.seconds(texts)  # first, so that the single texts of each come after work of its own
                for tokens, single in singles.items():
                    figures[name].single[tokens] += peer.seconds(single, SINGLE_TIMES)[1:]
        for name, peer in running.items():
            figures[name].peak_mb = peer.peak_mb
            peer.require_hold()
    return figures


def _table(figures: dict[str, Figures], count: int, threads: int, rounds: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, seen in figures.items():
        assert seen.fidelity
        ratio = statistics.median(theirs / ours for theirs, ours in zip(seen.corpus, figures[US.name].corpus, strict=True))
        rows.append(
            (
                name,
                count / statistics.median(seen.corpus),
                ratio,
                *(statistics.median(seen.single[tokens]) * 1000 for tokens in SINGLE_TOKENS),
                statistics.median(seen.cold),
                seen.peak_mb,
                seen.fidelity.mean_cosine,
                seen.fidelity.minimum_cosine,
            )
        )
    singles = {f"{tokens} tokens ms": ".1f" for tokens in SINGLE_TOKENS}
    return Table(
        "Peers: all-MiniLM-L6-v2",
        [
            f"{threads} threads, {rounds} rounds by turns; texts/s: {count} passages of mixed lengths, texts in, vectors out;",
            "ours x: how many times as long they take; cold: process start to first vector; peak: resident memory;",
            "cosine to our float32 build",
        ],
        {"served by": "s", "texts/s": ".0f", "ours x": ".2f"}
        | singles
        | {"cold s": ".2f", "peak MB": ".0f", "mean cosine": ".4f", "minimum": ".4f"},
        rows,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers", description="Measure side by side with others.")
    parser.add_argument("--passages", type=int, default=PASSAGES, help="of the mixed corpus (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build", "peers.json"), help="the figures (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
