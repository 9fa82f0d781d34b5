"""A text that is alone is computed by all cores, and leaves them free afterwards."""

import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.embedding.cpu import CPUINFO
from handler.embedding.manifest import WEIGHTS, Manifest
from handler.embedding.runner import GraphRunner
from tests.conftest import INT8

SHORT, LONG = np.arange(2000, 2003), np.arange(2000, 2064)
WAIT = 30.0
"""The seconds after which a test gives up."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the threads of a process"),
    pytest.mark.skipif((os.process_cpu_count() or 1) < 2, reason="one core cannot share a text"),
]


@dataclass(frozen=True)
class Helped:
    """A runner of the default model on two threads, and the thread that ONNX Runtime has started to share its runs."""

    runner: GraphRunner
    helper: Path

    @classmethod
    def load(cls) -> Self:
        """Load the model."""
        before = threads()
        runner = GraphRunner(INT8, Manifest.read(INT8), threads=2, kernels="", cpuinfo=CPUINFO)
        (helper,) = threads() - before
        return cls(runner, helper)

    def turns(self) -> int:
        """Return how often the helper has stopped, to sleep or because another thread got its core."""
        return sum(map(int, re.findall(r"voluntary_ctxt_switches:\s+(\d+)", (self.helper / "status").read_text())))

    def takes_part(self, *texts: NDArray[np.int64]) -> bool:
        """Embed the texts; return whether the helper woke up for that."""
        self.wait_until_it_sleeps()
        before = self.turns()
        self.runner.run("pooled", texts, given)
        self.wait_until_it_sleeps()
        return self.turns() > before

    def wait_until_it_sleeps(self) -> None:
        """Wait until the helper has no work."""
        ends = time.monotonic() + WAIT
        while re.search(r"State:\s+S", (self.helper / "status").read_text()) is None:
            assert time.monotonic() < ends
            time.sleep(0.001)


def threads() -> set[Path]:
    """Return the folders of this process's threads, those of ONNX Runtime included."""
    return set(Path("/proc/self/task").iterdir())


@pytest.fixture(scope="module")
def helped() -> Helped:
    """Load the default model for two threads."""
    return Helped.load()


def given(ids: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
    """Make the graph's inputs."""
    return {"input_ids": ids}


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["3 tokens", "64 tokens"])
def test_a_text_that_is_alone_is_shared_by_all_threads(helped: Helped, text: NDArray[np.int64]) -> None:
    """Each such text is."""
    assert helped.takes_part(text)
    assert helped.takes_part(text)


def test_texts_that_need_a_thread_each_are_not_shared(helped: Helped) -> None:
    """Each is computed by a thread of its own."""
    assert not helped.takes_part(SHORT, LONG)
    assert helped.takes_part(LONG)


def test_a_text_is_not_shared_while_another_call_computes(helped: Helped) -> None:
    """Two calls that share the same cores would wait for each other at every operator."""
    both_begun, go_on = threading.Barrier(3), threading.Event()  # the two threads of the other call, and this one

    def given_later(ids: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
        both_begun.wait(WAIT)
        assert go_on.wait(WAIT)
        return given(ids)

    other = threading.Thread(target=helped.runner.run, args=("pooled", [SHORT, LONG], given_later))
    other.start()
    try:
        both_begun.wait(WAIT)
        assert not helped.takes_part(LONG)
    finally:
        go_on.set()
        other.join(WAIT)
    assert helped.takes_part(LONG)


def test_no_thread_spins_after_a_text(helped: Helped) -> None:
    """The process needs no processor time until the next text."""
    helped.runner.run("pooled", [LONG], given)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.15


def test_the_weights_are_mapped_once() -> None:
    """Texts that are shared and texts that are not are computed with the same ones."""
    helped = Helped.load()
    before = mappings()
    assert helped.takes_part(LONG)
    assert not helped.takes_part(SHORT, LONG)
    assert mappings() == before


def mappings() -> int:
    """Return how often parts of the model's weights are mapped into memory."""
    return Path("/proc/self/maps").read_text().count(str(INT8 / WEIGHTS))
