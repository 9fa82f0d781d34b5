"""Time the steps of one request: each function's own time, without that of other steps that it calls.

The interpreter tells when the functions begin and end (sys.monitoring), so that what runs is what is deployed.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

from .rounds import Pace

type Steps = dict[str, float]
"""Seconds of one call, by step."""

TOOL = sys.monitoring.PROFILER_ID
EVENTS = sys.monitoring.events.PY_START | sys.monitoring.events.PY_RETURN


def by_step(
    call: Callable[[], object], functions: Mapping[str, Sequence[Callable[..., Any]]], rest: str, pace: Pace
) -> list[Steps]:
    """The steps of each of so many calls; `rest` is what no function of a step did.

    A function that waits for something to come from outside would be seen to work meanwhile; none here does.
    """
    names = {_code(function): name for name, several in functions.items() for function in several}
    taken: list[Steps] = []
    call()
    with _told(names) as spent:
        begun = time.perf_counter()
        while len(taken) < pace.rounds or time.perf_counter() - begun < pace.seconds:
            spent.clear()
            spent.update(dict.fromkeys([rest, *functions], 0.0))
            started = time.perf_counter()
            call()
            spent[rest] = time.perf_counter() - started - sum(spent.values())
            taken.append(dict(spent))
    return taken


def _code(function: Callable[..., Any]) -> CodeType:
    code: CodeType = getattr(function, "__func__", function).__code__
    return code


@contextmanager
def _told(names: Mapping[CodeType, str]) -> Iterator[dict[str, float]]:
    """The seconds of each step, while they are counted."""
    spent: dict[str, float] = {}
    running: list[list[float]] = []
    """Of each function that has begun and not ended, the outermost first: when, and the seconds of the steps within it."""

    def begin(_: CodeType, __: int) -> None:
        running.append([time.perf_counter(), 0.0])

    def end(code: CodeType, _: int, __: object) -> None:
        started, within = running.pop()
        seconds = time.perf_counter() - started
        spent[names[code]] += seconds - within
        if running:
            running[-1][1] += seconds

    monitoring = sys.monitoring
    monitoring.use_tool_id(TOOL, "steps")
    try:
        monitoring.register_callback(TOOL, monitoring.events.PY_START, begin)
        monitoring.register_callback(TOOL, monitoring.events.PY_RETURN, end)
        for code in names:
            monitoring.set_local_events(TOOL, code, EVENTS)
        yield spent
    finally:
        for code in names:
            monitoring.set_local_events(TOOL, code, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(TOOL)
