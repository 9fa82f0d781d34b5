"""Run a handler in AWS's Runtime Interface Emulator, with its START, END and REPORT lines, its time-outs and its limits.

The emulator comes with aws-sam-cli. It does not enforce memory, and handles one invocation at a time.
"""

import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
START_SECONDS = 10.0
STOP_SECONDS = 5.0
LOG_SECONDS = 2.0
POLL_SECONDS = 0.01


class EmulatorError(Exception):
    """The emulator is missing or did not start. `str(error)` is one sentence."""


class Emulator:
    """One emulated Lambda environment, which runs as long as a `with` block.

    The emulator initialises the handler at the first invocation.
    """

    def __init__(  # noqa: PLR0913 - a function's configuration has these, and each has a default
        self,
        handler: str = "handler.functions.api.handler",
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        pythonpath: Sequence[Path] = (),
        timeout_seconds: int = 30,
        memory_mb: int = 1769,
    ) -> None:
        """Describe the emulated function.

        Args:
            handler: dotted name, as in template.yaml.
            cwd: the folder in which the function runs; its modules are found there.
            env: the function's environment; this process's own if None.
            python: the interpreter, which must have awslambdaric.
            pythonpath: folders with the function's code and layers, which are searched before the interpreter's own.
            timeout_seconds: the emulator kills the handler after this time.
            memory_mb: the memory size in the function's environment.
        """
        self._command = [python, "-m", "awslambdaric", handler]
        self._cwd = cwd
        self._environment = {
            **(os.environ if env is None else env),
            **({"PYTHONPATH": os.pathsep.join(map(str, pythonpath))} if pythonpath else {}),
            "AWS_LAMBDA_FUNCTION_NAME": "api",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        }
        self._invocations = 0

    def __enter__(self) -> Self:
        """Start the emulator and wait until it accepts invocations."""
        binary = _binary()
        self._port, runtime_port = _free_ports()
        # Files instead of pipes: a full pipe that nobody reads would stop the function.
        self._folder = tempfile.TemporaryDirectory(prefix="emulator-")
        self._output, self._events = Path(self._folder.name, "output"), Path(self._folder.name, "events")
        with self._output.open("wb") as output, self._events.open("wb") as events:
            self._process = subprocess.Popen(
                [
                    binary,
                    "--runtime-interface-emulator-address",
                    f"127.0.0.1:{self._port}",
                    "--runtime-api-address",
                    f"127.0.0.1:{runtime_port}",
                    "--log-level",
                    "info",
                    *self._command,
                ],
                cwd=self._cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=events,
                start_new_session=True,
            )
        try:
            self._wait_until_listening()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the emulator and everything it started."""
        self._stop()

    def invoke(self, event: bytes, timeout: float = 60.0) -> bytes:
        """Send one event and return the function's response, which has an `errorMessage` if the function failed.

        Args:
            event: JSON.
            timeout: seconds to wait for the response; the handler's initialisation is part of that.

        Raises:
            TimeoutError: no response came in time.
        """
        connection = HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", event)
            reply = connection.getresponse().read()
        finally:
            connection.close()
        self._invocations += 1
        _wait_until(LOG_SECONDS, lambda: len(self.reports) >= self._invocations)
        return reply

    @property
    def output(self) -> list[str]:
        """The lines that CloudWatch Logs would show: START, everything that the function printed, END, REPORT."""
        # awslambdaric ends the lines of a traceback with carriage returns, to keep it in one log event.
        return self._output.read_text(errors="replace").splitlines()

    @property
    def reports(self) -> list[str]:
        """The REPORT line of each invocation, with durations and memory size. The emulator measures no memory."""
        return [line for line in self.output if line.startswith("REPORT ")]

    @property
    def init_reports(self) -> list[str]:
        """The INIT REPORT line of each initialisation: the Init Duration in REPORT does not count a late start."""
        return [line.partition("(rapid) ")[2] for line in self.log.splitlines() if "(rapid) INIT REPORT" in line]

    @property
    def log(self) -> str:
        """The whole log: the output, then the emulator's own lines, which include INIT REPORT."""
        return self._output.read_text(errors="replace") + self._events.read_text(errors="replace")

    def _wait_until_listening(self) -> None:
        _wait_until(START_SECONDS, lambda: self._listens() or self._process.poll() is not None)
        if self._process.poll() is not None or not self._listens():
            msg = f"The Runtime Interface Emulator did not start: {self.log[-500:].strip() or 'it printed nothing'}"
            raise EmulatorError(msg)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def _stop(self) -> None:
        # On SIGTERM the emulator kills the runtime, which has a process group of its own, and ends itself.
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        # A process that is still alive is in the session that was made for this emulator only.
        for process in _session(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._folder.cleanup()


def _binary() -> Path:
    folder = ROOT / "build/sam/lib/python3.13/site-packages/samcli/local/rapid"
    binary = folder / f"aws-lambda-rie-{MACHINES.get(platform.machine().lower(), platform.machine())}"
    if not binary.is_file():
        msg = "The Runtime Interface Emulator is missing: `make build/sam/installed` fetches it."
        raise EmulatorError(msg)
    return binary


def _free_ports() -> tuple[int, int]:
    # Both sockets are open at the same time, so that the ports differ.
    with socket.socket() as first, socket.socket() as second:
        for held in (first, second):
            held.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _session(leader: int) -> list[int]:
    """Return the processes in the session of `leader`, from /proc: the emulator runs on Linux only."""
    processes = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The process's name may contain anything and ends at the last parenthesis; then come state, parent, group, session.
            session = stat.read_text().rpartition(")")[2].split()[3]
            if int(session) == leader:
                processes.append(int(stat.parent.name))
    return processes


def _wait_until(seconds: float, condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, or until the time is over."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
