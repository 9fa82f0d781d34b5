"""Measure requests with more memory, on the cores that Lambda would give for it.

A function has a vCPU for each 1,769 MB; here one core stands for one vCPU, which only an account could confirm. Less memory is a
share of a vCPU, which no binding to cores can imitate: not measured.
"""

import json
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from handler.bootstrap import Handler, load_service
from handler.config import MEMORY_PER_VCPU_MB
from handler.functions.api import make_handler

from .effort import Effort
from .machine import cores
from .models import INT8
from .request import EVENT, text_of
from .rounds import Turn, interleaved, once
from .tables import Table

REQUESTS = {"1 text of 20 tokens": (1, 20), "1 text of 128": (1, 128), "32 texts of 128": (32, 128)}


def tables(effort: Effort) -> Iterator[Table]:
    """Measure milliseconds of whole requests, from event to response, by memory."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores()))
    functions = {vcpus * MEMORY_PER_VCPU_MB: _function(vcpus, allowed) for vcpus in range(1, cores() + 1)}
    rows = []
    try:
        for memory_mb, (answer, bound) in functions.items():
            _bind(bound)
            turns = {name: _turn(answer, *request) for name, request in REQUESTS.items()}
            timings = interleaved(turns, effort.row)
            rows.append((memory_mb, len(bound), *(timings.median(name) * 1000 for name in turns)))
    finally:
        _bind(allowed)
    yield Table(
        "Memory: milliseconds a request",
        ["event in, reply out, nothing cached; a core for each vCPU; below 1,769 MB, and in Lambda itself: not measured"],
        {"MB": "d", "vCPUs": "d"} | dict.fromkeys(REQUESTS, ".2f"),
        rows,
    )


def _function(vcpus: int, allowed: list[int]) -> tuple[Handler, list[int]]:
    """Make the HTTP function with memory for so many vCPUs, and keep its threads on as many cores."""
    bound = allowed[:vcpus]
    _bind(bound)
    memory = {"MODEL_DIR": str(INT8), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(vcpus * MEMORY_PER_VCPU_MB)}
    answer = make_handler(load_service(memory), None)
    answer(_event(vcpus * 2, 8), None)
    return answer, bound


def _bind(to: list[int]) -> None:
    """Keep this thread, and those that it starts, on these cores, if the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, to)


def _turn(answer: Handler, texts: int, tokens: int) -> Turn:
    return once(partial(answer, _event(texts, tokens), None))


def _event(texts: int, tokens: int) -> dict[str, Any]:
    """Make texts that differ in their last word, so that none is a cache hit."""
    event: dict[str, Any] = json.loads(EVENT.read_bytes())
    words = text_of(tokens).split()
    inputs = [" ".join([*words[:-2], *(words[number // base % len(words)] for base in (1, len(words)))]) for number in range(texts)]
    event["body"] = json.dumps({"inputs": inputs, "use_cache": False})
    return event
