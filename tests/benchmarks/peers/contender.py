"""One contender: a process in an environment of its own that embeds when it is asked to."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from handler.vectors import Vectors

from .isa import Hold

SCRIPTS = Path(__file__).parent / "scripts"
ENVIRONMENTS = Path("build", "peers")


@dataclass(frozen=True, slots=True)
class Contender:
    """A library to compare with: its name, its environment, its script, its model folder, and the library that computes."""

    name: str
    environment: Path
    script: str
    folder: Path
    library: str

    @property
    def installed(self) -> bool:
        """True if its environment is installed."""
        return (self.environment / "bin" / "python").exists()

    def start(self, threads: int, hold: Hold) -> "Running":
        """Start it on so many threads, held back as `hold` says."""
        return Running(self, threads, hold.switches(self.library))


class Running:
    """A contender at work: asked for one thing at a time, idle between."""

    def __init__(self, contender: Contender, threads: int, switches: Mapping[str, str]) -> None:
        """Start the process, with switches in its environment, and wait for its first vector."""
        self._name = contender.name
        command: list[str | Path] = [
            contender.environment / "bin" / "python",
            SCRIPTS / contender.script,
            contender.folder,
            str(threads),
        ]
        started = time.perf_counter()
        environment = {**_environment(), **switches}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self._answer()
        self.cold_seconds = time.perf_counter() - started
        """From the start of the process to its first vector."""

    def seconds(self, texts: Sequence[str], times: int = 1) -> list[float]:
        """Embed the texts so often; the seconds of each time."""
        found: list[float] = self._ask(texts=texts, times=times)["seconds"]
        return found

    def vectors(self, texts: Sequence[str], path: Path) -> Vectors:
        """Their vectors, by way of a file."""
        self._ask(texts=texts, save=str(path))
        vectors: Vectors = np.load(path)
        return vectors

    @property
    def peak_mb(self) -> float:
        """The most memory that was resident so far."""
        peak: float = self._ask(texts=["A text."])["peak_mb"]
        return peak

    def _ask(self, **question: object) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            msg = f"{self._name} ended without an answer"
            raise ChildProcessError(msg)
        return json.loads(line)

    def __enter__(self) -> Self:
        """Nothing more to start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process by ending its input."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _environment() -> dict[str, str]:
    """No hub, no telemetry; our package for the one script that imports it."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(ENVIRONMENTS.resolve()),
        "PYTHONPATH": str(Path.cwd()),
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }
