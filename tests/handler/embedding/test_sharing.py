"""A text that is alone is computed by all cores, and leaves them free afterwards."""

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.embedding.cpu import CPUINFO
from handler.embedding.manifest import Manifest
from handler.embedding.runner import GraphRunner
from tests.conftest import INT8

SHORT, LONG = np.arange(2000, 2003), np.arange(2000, 2064)
WAIT = 30.0
"""The seconds after which a test gives up."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the threads of a process"),
    pytest.mark.skipif((os.process_cpu_count() or 1) < 2, reason="one core cannot share a text"),
]


@pytest.fixture
def runner() -> GraphRunner:
    """Load the default model for two threads."""
    return GraphRunner(INT8, Manifest.read(INT8), threads=2, kernels="", cpuinfo=CPUINFO)


def given(ids: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
    """Make the graph's inputs."""
    return {"input_ids": ids}


def threads() -> set[str]:
    """Return this process's threads, those of ONNX Runtime included. Threads of other tests may end at any time."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["3 tokens", "64 tokens"])
def test_a_text_that_is_alone_is_shared_by_all_threads(runner: GraphRunner, text: NDArray[np.int64]) -> None:
    """The threads that share it are started for the first such text, and stay."""
    before = threads()
    runner.run("pooled", [text], given)
    assert len(threads() - before) == 1
    runner.run("pooled", [text], given)
    assert len(threads() - before) == 1


def test_a_text_is_not_shared_while_another_call_computes(runner: GraphRunner) -> None:
    """Two calls that share the same cores would wait for each other at every operator."""
    both_begun, go_on = threading.Barrier(3), threading.Event()  # the two threads of the other call, and this one

    def given_later(ids: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
        both_begun.wait(WAIT)
        assert go_on.wait(WAIT)
        return given(ids)

    other = threading.Thread(target=runner.run, args=("pooled", [SHORT, LONG], given_later))
    other.start()
    try:
        both_begun.wait(WAIT)
        before = threads()
        runner.run("pooled", [LONG], given)
        assert threads() - before == set()
    finally:
        go_on.set()
        other.join(WAIT)
    before = threads()
    runner.run("pooled", [LONG], given)
    assert len(threads() - before) == 1


def test_no_thread_spins_after_a_text(runner: GraphRunner) -> None:
    """The process needs no processor time until the next text."""
    runner.run("pooled", [LONG], given)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.15
