"""Cold: from the start of a process to its first vector, each in a whole process of its own, on one core."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from events.dynamodb import LocalDynamoDB
from handler.embedding.manifest import Manifest

from .effort import Effort
from .models import INT8, tokenization
from .request import EVENT
from .rounds import interleaved
from .tables import Table

PROGRAM = "import sys; from tests.benchmarks import first_vector; first_vector.{name}(*sys.argv[1:])"
UNSET = {
    "AWS_LAMBDA_RUNTIME_API",  # the handler would take itself for one under Lambda
    "PYTHONDONTWRITEBYTECODE",  # a deployed package has its .pyc, so both must find theirs here
    "THREADS",
}


def tables(effort: Effort) -> Iterator[Table]:
    """Milliseconds of each process."""
    text = json.loads(json.loads(EVENT.read_bytes())["body"])["inputs"]
    tokens = len(tokenization().tokenize([text], "right")[0].ids)
    dimension = Manifest.read(INT8).dimension
    processes = {
        "bare python": partial(_first_vector, 0, "bare"),
        "floor": partial(_first_vector, dimension, "floor", str(INT8), str(tokens)),
        "handler": partial(_first_vector, dimension, "handler", str(EVENT)),
    }
    with LocalDynamoDB() as dynamodb, _one_core() as core:
        # The text is known there after the first turn, which isn't counted: what is added is the client and a look-up.
        processes["with a table"] = partial(_first_vector, dimension, "handler", str(EVENT), **dynamodb.environment)
        for process in processes.values():
            process()  # writes the .pyc and brings the files into memory
        timings = interleaved(processes, effort.cold)
    yield Table(
        "Cold: milliseconds from process start to first vector",
        [
            f"whole processes on {core}, .pyc and files warm for all; floor: import onnxruntime, load the session, one run",
            f"of {tokens} tokens; handler: import handler.functions.api, answer one HTTP event of as many tokens; with a table:",
            "likewise, and CACHE_TABLE set, so that a client is made and finds the vector",
        ],
        {"process": "s", "ms": ".1f", "time / floor": ".2f"},
        [(name, timings.median(name) * 1000, timings.ratio(name, "floor")) for name in processes],
    )


def _first_vector(numbers: int, name: str, *arguments: str, **variables: str) -> float:
    """Seconds until the process called `name` in first_vector.py tells that it has its vector of so many numbers."""
    environment = {key: value for key, value in os.environ.items() if key not in UNSET} | {"MODEL_DIR": str(INT8), "AUTH": "none"}
    environment |= variables
    command = [sys.executable, "-c", PROGRAM.format(name=name), *arguments]
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        told = process.stdout.readline()
        seconds = time.perf_counter() - started
    assert told == b"%d\n" % numbers, f"{name} told {told!r}"
    return seconds


@contextmanager
def _one_core() -> Iterator[str]:
    """Bind this thread to one core, and with it the processes it starts; tells what came of it."""
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
