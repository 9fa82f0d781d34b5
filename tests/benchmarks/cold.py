"""Measure the time from the start of a process to its first vector, each time in a new process on one core."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import botocore.session
import snapshot_restore_py

from events.dynamodb import LocalDynamoDB
from handler.embedding.manifest import Manifest

from .effort import Effort
from .models import INT8, stock_int8_file, tokenization
from .request import EVENT, KEY
from .rounds import Timings
from .tables import Table

PROGRAM = Path(__file__).with_name("first_vector.py")
SNAPSHOTTED = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
UNSET = {
    "AWS_LAMBDA_RUNTIME_API",
    "API_KEYS",
    "PYTHONDONTWRITEBYTECODE",  # a deployed package has its .pyc, so all must find theirs here
    "PYTHONPATH",
    "THREADS",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A program to start: an interpreter, the folders of its code, and the environment variables of template.yaml."""

    name: str
    command: list[str]
    environment: Mapping[str, str]

    @classmethod
    def found(cls) -> Self:
        """Return the built function if `make cold` set ARTEFACT, or else the code and libraries of the development environment."""
        given = os.environ.get("ARTEFACT")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in UNSET},
            "OPENBLAS_NUM_THREADS": "1",
            "MODEL_DIR": str(INT8),
            "AUTH": "none",
            # Loaded when it is imported, as under Lambda. Nothing listens there unless a runtime's API is named.
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",
        }
        if not given:
            return cls("the repository", [sys.executable, "-P", str(PROGRAM)], environment | {"PYTHONPATH": "."})
        folders = [Path(given, "ApiFunction"), Path(given, "RuntimeLayer", "python"), _runtime_modules()]
        environment |= {"PYTHONPATH": os.pathsep.join(map(str, folders)), "MODEL_DIR": str(Path(given, "ModelLayer", "model"))}
        base: str = sys._base_executable  # type: ignore[attr-defined]  # noqa: SLF001 - the interpreter without this environment's packages
        return cls(given, [base, "-P", str(PROGRAM)], environment)

    def started(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start first_vector.py."""
        return subprocess.Popen(
            [*self.command, *arguments],
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def tables(effort: Effort) -> Iterator[Table]:
    """Measure milliseconds of each process, and of the steps of two of them."""
    deployment = Deployment.found()
    folder = deployment.environment["MODEL_DIR"]
    text = json.loads(json.loads(EVENT.read_bytes())["body"])["inputs"]
    tokens = len(tokenization().tokenize([text], "right")[0].ids)
    dimension = Manifest.read(INT8).dimension
    first = partial(seconds_to_first_vector, deployment)
    processes = {
        "bare python": partial(first, 0, "bare"),
        "floor": partial(first, dimension, "floor", folder, str(tokens)),
        "onnxruntime, stock int8": partial(first, dimension, "stock", str(stock_int8_file()), str(tokens)),
        "handler": partial(first, dimension, "handler", str(EVENT)),
    }
    with LocalDynamoDB() as server, _runtime_api() as api, one_core() as core:
        connected = {**server.environment, **_secret(server), "AUTH": "", "AWS_LAMBDA_RUNTIME_API": api}
        keyed = _event_with_key()
        # The text is known there after the first turn, which isn't counted: what is added is two clients, a secret and a look-up.
        processes["with keys and table"] = partial(first, dimension, "handler", keyed, **connected)
        for process in processes.values():
            process()  # writes the .pyc and brings the files into memory
        seconds, cpu_seconds = in_turns(processes, effort.cold.rounds)
        waterfalls, restores = (
            [
                [_steps(deployment, program, str(EVENT), **snapshotted) for _ in range(effort.cold.rounds)],
                [_steps(deployment, program, keyed, **connected, **snapshotted) for _ in range(effort.cold.rounds)],
            ]
            for program, snapshotted in (("waterfall", {}), ("restored", SNAPSHOTTED))
        )
    yield Table(
        "Cold: milliseconds from process start to first vector",
        [
            f"whole processes of {deployment.name} on {core}, .pyc and files warm for all; floor: import onnxruntime, load the",
            f"session, one run of {tokens} tokens; stock: the same with the plainest int8 graph; handler: import",
            "handler.functions.api, answer one HTTP event of as many tokens; with keys and table: likewise, with a key from",
            "Secrets Manager and a vector from DynamoDB, both on this machine;",
            "CPU time leaves out what other programs took meanwhile, and waiting for those two",
        ],
        {"process": "s", "ms": ".1f", "time / floor": ".2f", "CPU ms": ".1f", "CPU time / floor": ".2f"},
        [
            (
                name,
                *(
                    figure
                    for timings in (seconds, cpu_seconds)
                    for figure in (timings.median(name) * 1000, timings.ratio(name, "floor"))
                ),
            )
            for name in processes
        ],
    )
    yield _by_step(
        "Cold: milliseconds of CPU time by step",
        "in the order of a cold start; a module that two steps need is the first one's",
        *map(_medians, waterfalls),
    )
    yield _by_step(
        "Restored: milliseconds of CPU time after a snapshot",
        "what is left of a cold start with SnapStart, without what Lambda itself takes, which is not measured",
        *map(_medians, restores),
    )


def _by_step(title: str, note: str, plain: dict[str, float], full: dict[str, float]) -> Table:
    return Table(
        title,
        [note],
        {"step": "s", "ms": ".1f", "with keys and table": ".1f"},
        [*((step, plain[step], full[step]) for step in plain), ("all", sum(plain.values()), sum(full.values()))],
    )


def in_turns(processes: Mapping[str, Callable[[], tuple[float, float]]], rounds: int) -> tuple[Timings, Timings]:
    """Return wall seconds and CPU seconds of processes that take turns."""
    taken = [{name: process() for name, process in processes.items()} for _ in range(rounds)]
    wall, cpu = ({name: [turn[name][clock] for turn in taken] for name in processes} for clock in (0, 1))
    return Timings(wall), Timings(cpu)


def seconds_to_first_vector(deployment: Deployment, numbers: int, *arguments: str, **variables: str) -> tuple[float, float]:
    """Return the seconds until the process prints that it has its vector, and how many of them were CPU time."""
    started = time.perf_counter()
    with deployment.started(*arguments, **variables) as process:
        assert process.stdout
        told = process.stdout.readline()
        seconds = time.perf_counter() - started
    found, _, cpu_seconds = told.decode().partition(" ")
    assert found == str(numbers), f"{arguments[0]} told {told!r}"
    return seconds, float(cpu_seconds)


def _steps(deployment: Deployment, program: str, event: str, **variables: str) -> dict[str, float]:
    with deployment.started(program, event, **variables) as process:
        assert process.stdout
        found: dict[str, float] = json.loads(process.stdout.read())
    return found


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {step: statistics.median(one[step] for one in found) for step in found[0]}


def _secret(server: LocalDynamoDB) -> dict[str, str]:
    """Provide a key in moto's Secrets Manager."""
    session = botocore.session.get_session()
    session.set_credentials("local", "local")
    client = session.create_client("secretsmanager", "us-east-1", endpoint_url=server.endpoint)
    arn: str = client.create_secret(Name="key", SecretString=KEY)["ARN"]
    return {"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.endpoint, "API_KEYS_SECRET": arn}


def _runtime_modules() -> Path:
    """Provide a folder with the one module that Lambda's runtime adds: the registry of hooks around a snapshot."""
    folder = Path("build", "runtime")
    folder.mkdir(exist_ok=True)
    shutil.copy(snapshot_restore_py.__file__, folder)
    return folder


def _event_with_key() -> str:
    event = json.loads(EVENT.read_bytes())
    event["headers"]["authorization"] = f"Bearer {KEY}"
    written = Path("build", "event-with-key.json")
    written.write_text(json.dumps(event), encoding="utf-8")
    return str(written)


class _RuntimeApi(BaseHTTPRequestHandler):
    """Lambda's API for extensions, as far as a cold start uses it: it registers an extension and sends no event."""

    def do_POST(self) -> None:
        """Register an extension."""
        self.send_response(200)
        self.send_header("Lambda-Extension-Identifier", "one")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self) -> None:
        """Let the request for the next event wait."""
        self.rfile.read()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base
        """Log nothing."""


@contextmanager
def _runtime_api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _RuntimeApi) as server:
        server.daemon_threads = True
        server.block_on_close = False
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def one_core() -> Iterator[str]:
    """Bind this thread, and the processes that it starts, to one core; return a sentence about the result."""
    if not hasattr(os, "sched_setaffinity"):
        yield "any core (this system binds none)"
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)
    os.sched_setaffinity(0, {core})
    try:
        yield f"core {core} alone"
    finally:
        os.sched_setaffinity(0, allowed)
