"""Measure one text on all cores, next to independent texts on the same cores.

The bound is measured, not assumed: as many processes as there are threads, each with a text of its own at the same time. What two
of them lose to each other (a shared cache, a sibling's half of a core) one text on two threads loses too.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from typing import Self

from .effort import Effort
from .encoder import LENGTHS, sequences
from .machine import cores
from .models import INT8, ours
from .rounds import Turn, burst, interleaved
from .tables import Table


def tables(effort: Effort) -> Iterator[Table]:
    """Measure one text on one thread and on all, and as many texts in as many processes."""
    threads = cores()
    rows = []
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker()) for _ in range(threads)]
        alone, shared = ours(INT8, 1), ours(INT8, threads)
        for length in LENGTHS:
            (text,) = sequences(length, 1)
            contenders: dict[str, Turn] = {
                "1 thread": burst(partial(alone.encode, [text]), effort.burst),
                f"{threads} threads": burst(partial(shared.encode, [text]), effort.burst),
                "processes": partial(_all_at_once, workers, length, effort.burst),
            }
            timings = interleaved(contenders, effort.row)
            one, many = timings.median("1 thread") * 1000, timings.median(f"{threads} threads") * 1000
            scaling, bound = timings.ratio("1 thread", f"{threads} threads"), timings.ratio("1 thread", "processes")
            rows.append((length, one, many, scaling, bound, scaling / bound))
    yield Table(
        "One text on all cores: milliseconds a text",
        [f"{threads} threads; bound: how many times as many texts {threads} processes embed, each on one thread of its own"],
        {"tokens": "d", "1 thread": ".2f", "all threads": ".2f", "speed / 1 thread": ".2f", "bound": ".2f", "share": ".2f"},
        rows,
    )


class _Worker:
    """A process that embeds one text repeatedly for a given time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there,), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._here.send(None)
        self._process.join(10)

    def begin(self, length: int, seconds: float) -> None:
        """Embed texts of `length` tokens."""
        self._here.send((length, seconds))

    def rate(self) -> float:
        """Return the texts per second of the last period."""
        found: float = self._here.recv()
        return found


def _work(there: Connection) -> None:
    encoder = ours(INT8, 1)
    there.send(None)
    while (asked := there.recv()) is not None:
        length, seconds = asked
        (text,) = sequences(length, 1)
        encoder.encode([text])
        done, started = 0, time.perf_counter()
        while not done or time.perf_counter() - started < seconds:
            encoder.encode([text])
            done += 1
        there.send(done / (time.perf_counter() - started))


def _all_at_once(workers: list[_Worker], length: int, seconds: float) -> float:
    """Return the seconds per text of all workers together."""
    for worker in workers:
        worker.begin(length, seconds)
    return 1 / sum(worker.rate() for worker in workers)
