"""Measure contenders in turns, A B C, A B C, …, within one run.

A machine that others use too is fast in one minute and slow in the next. Contenders that take turns meet the same minutes, so the
ratio of two turns of one round holds where the times themselves do not.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

type Call = Callable[[], object]
type Clock = Callable[[], float]
type Turn = Callable[[], float]
"""A function that takes one turn and returns its seconds per call."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The length of a measurement: at least this many rounds, and more until the seconds are over."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Timings:
    """The seconds per call of each contender, one for each round."""

    seconds: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        """Return the seconds per call."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """Return how many times as long as `other` a contender takes."""
        return statistics.median(a / b for a, b in zip(self.seconds[name], self.seconds[other], strict=True))

    def rest(self, whole: str, *parts: str) -> float:
        """Return the seconds of `whole` that are in none of its parts."""
        in_parts = map(sum, zip(*(self.seconds[name] for name in parts), strict=True))
        return statistics.median(a - b for a, b in zip(self.seconds[whole], in_parts, strict=True))


def interleaved(contenders: Mapping[str, Turn], pace: Pace) -> Timings:
    """Let every contender take its turn, round after round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    started = time.perf_counter()
    done = 0
    while done < pace.rounds or time.perf_counter() - started < pace.seconds:
        for name, turn in contenders.items():
            seconds[name].append(turn())
        done += 1
    return Timings(seconds)


def once(call: Call, clock: Clock = time.perf_counter) -> Turn:
    """Make a turn of one call."""

    def turn() -> float:
        started = clock()
        call()
        return clock() - started

    return turn


def burst(call: Call, seconds: float, clock: Clock = time.perf_counter) -> Turn:
    """Make a turn of as many calls as fill the seconds, after one that is not counted.

    The contender before has left its own weights in the processor's cache and, where it is threaded, its threads spinning.
    What computes on the calling thread alone is best measured by time.thread_time, which stands while others have the core.
    """
    call()  # what is done once in a process
    calls = max(1, round(seconds / once(call, clock)()))

    def turn() -> float:
        if calls > 1:
            call()
        started = clock()
        for _ in range(calls):
            call()
        return (clock() - started) / calls

    return turn
