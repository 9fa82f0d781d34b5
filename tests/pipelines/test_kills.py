"""Queues, objects and streams lose nothing if their function dies at random points.

There are 4 runs of 500 records here, and 200 of 1,000 in `make soak`.
"""

import os
import re
import subprocess
import sys

from tests.conftest import ROOT

RUNS = int(os.environ.get("KILL_RUNS", "4"))
"""One run of each kind. They take 5 s of CPU time each: a pipeline must die often before every record is done."""
SECONDS = 300
"""The time limit of one run, for a busy machine. A run usually takes seconds."""


def test_every_record_is_written_once_or_recorded_whenever_the_function_dies() -> None:
    """The sink has the vector of each record's last text, or the failure destination has the record."""
    command = [sys.executable, "-m", "tests.pipelines.kills", "--runs", str(RUNS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS * RUNS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    runs = re.findall(
        r"^seed (\d+): (FIFO|standard|object|stream), (\d+) events, (\d+) deaths, \d+ failures kept, ", done.stdout, re.MULTILINE
    )
    assert [int(seed) for seed, *_ in runs] == list(range(RUNS))
    assert sum(int(deaths) for *_, deaths in runs) > RUNS
    assert all(int(events) > 1 for _, kind, events, _ in runs if kind == "object"), "one invocation was enough for an object"
