"""Queues, objects and streams whose function dies at random points: `make soak` has 200 such runs, here are the first five."""

import os
import re
import subprocess
import sys

from tests.conftest import ROOT

RUNS = int(os.environ.get("KILL_RUNS", "5"))
SECONDS = 300
"""For one run, at most, on a machine with other work: seconds are usual."""


def test_nothing_is_lost_and_nothing_is_there_twice() -> None:
    """Whenever it dies, every record ends in the sink, once and with its last text, or in the failure destination."""
    command = [sys.executable, "-m", "tests.pipelines.kills", "--runs", str(RUNS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS * RUNS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    runs = re.findall(
        r"^seed (\d+): (FIFO|standard|object|stream), (\d+) events, (\d+) deaths, \d+ failures kept, ", done.stdout, re.MULTILINE
    )
    assert [int(seed) for seed, *_ in runs] == list(range(RUNS))
    assert sum(int(deaths) for *_, deaths in runs) > RUNS
    assert all(int(events) > 1 for _, kind, events, _ in runs if kind == "object"), "an object was done in one go"
