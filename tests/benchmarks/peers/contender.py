"""One contender: a process in an environment of its own that embeds when it is asked to."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from handler.vectors import Vectors
from tests.benchmarks.hold.effect import require_copies, require_no_avx512
from tests.benchmarks.hold.environment import Environment

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
        return self.interpreter.exists()

    @property
    def interpreter(self) -> Path:
        """Return the Python of its environment."""
        return self.environment / "bin" / "python"

    def start(self, threads: int, held: Environment) -> "Running":
        """Start it on so many threads, with the environment variables that hold it back."""
        return Running(self, threads, held)


class Running:
    """A contender at work: asked for one thing at a time, idle between."""

    def __init__(self, contender: Contender, threads: int, held: Environment) -> None:
        """Start the process, held back, and wait for its first vector."""
        self._name = contender.name
        command: list[str | Path] = [
            contender.interpreter,
            SCRIPTS / contender.script,
            contender.folder,
            str(threads),
        ]
        started = time.perf_counter()
        environment = held.over(base_environment())
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self._answer()
        self.cold_seconds = time.perf_counter() - started
        """From the start of the process to its first vector."""
        # Until the new program starts, the process has the registers of ours, which may have used AVX-512.
        self._held, self._ready = held, time.perf_counter()
        require_copies(held, self._process.pid)

    def seconds(self, texts: Sequence[str], times: int = 1) -> list[float]:
        """Embed the texts so often; the seconds of each time."""
        found: list[float] = self._ask(texts=texts, times=times)["seconds"]
        return found

    def vectors(self, texts: Sequence[str], path: Path) -> Vectors:
        """Their vectors, by way of a file."""
        self._ask(texts=texts, save=str(path))
        vectors: Vectors = np.load(path)
        return vectors

    def require_hold(self) -> None:
        """Check that it has not used AVX-512 since its first vector if it is held back.

        Raises:
            Unknown: it has.
        """
        if self._held.trap:
            require_no_avx512(self._process.pid, time.perf_counter() - self._ready, self._name)

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


def base_environment() -> dict[str, str]:
    """No hub, no telemetry; our package for the one script that imports it."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(ENVIRONMENTS.resolve()),
        "PYTHONPATH": str(Path.cwd()),
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }
