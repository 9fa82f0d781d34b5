"""Measure the encoder alone, from token ids to pooled vectors. Ours is called as the service calls it, including its Python."""

import time
from collections.abc import Iterator
from functools import partial

import numpy as np

from handler.embedding.runner import RUN_TOKENS
from handler.vectors import TokenIds

from .effort import Effort
from .machine import cores
from .models import FP32, INT8, fidelities, ours, stock_int8
from .rounds import Timings, burst, interleaved
from .tables import Table

CONTENDERS = ("ours int8", "stock int8", "ours fp32")
LENGTHS = (8, 32, 128, 256, 512)
FIRST, LAST, WORDS = 101, 102, range(1996, 28996)
"""The ids of [CLS], [SEP] and whole words in the default model's vocabulary."""
SEED = 8


def tables(effort: Effort) -> Iterator[Table]:
    """Measure fidelity, and speed on one thread and on all."""
    yield _fidelity(effort.fidelity_passages)
    yield _one_thread(effort)
    yield _all_threads(effort)


def _fidelity(count: int) -> Table:
    return Table(
        "Fidelity: cosine to our fp32 build",
        [f"{count} scoring passages, each alone and unpadded"],
        {"model": "s", "mean": ".5f", "minimum": ".5f", "top-10 agreement": ".3f"},
        [
            (model, fidelity.mean_cosine, fidelity.minimum_cosine, fidelity.top_10_agreement)
            for model, fidelity in fidelities(count).items()
        ],
    )


def _one_thread(effort: Effort) -> Table:
    rows = []
    for length, timings in _by_length(effort, threads=1, count=1):
        times = [timings.median(name) * 1000 for name in CONTENDERS]
        rows.append((length, *times, timings.ratio("stock int8", "ours int8"), timings.ratio("ours fp32", "ours int8")))
    return Table(
        "Encoder, 1 thread: milliseconds a text",
        ["CPU time; stock: the plainest graph of the same weights, quantize_dynamic per channel; speed: of ours int8"],
        {"tokens": "d"} | dict.fromkeys(CONTENDERS, ".3f") | {"speed / stock": ".2f", "speed / fp32": ".2f"},
        rows,
    )


def _all_threads(effort: Effort) -> Table:
    threads = cores()
    count = effort.texts_per_core * threads
    rows = []
    for length, timings in _by_length(effort, threads, count):
        rates = [count / timings.median(name) for name in CONTENDERS]
        rows.append((length, *rates, timings.ratio("stock int8", "ours int8"), timings.ratio("ours fp32", "ours int8")))
    return Table(
        "Encoder, all threads: texts a second",
        [
            f"{count} texts of one length on {threads} cores; ours: runs of up to {RUN_TOKENS} tokens, {threads} at once with 1",
            "thread each;",
            f"stock: all {count} texts in one run with {threads} threads (of one length, so without padding)",
        ],
        {"tokens": "d"} | dict.fromkeys(CONTENDERS, ".1f") | {"speed / stock": ".2f", "speed / fp32": ".2f"},
        rows,
    )


def _by_length(effort: Effort, threads: int, count: int) -> Iterator[tuple[int, Timings]]:
    """Make the contenders for `count` texts of each length."""
    encodes = (ours(INT8, threads).encode, stock_int8(threads).encode_alike, ours(FP32, threads).encode)
    for length in LENGTHS:
        texts = sequences(length, count)
        clock = time.thread_time if threads == 1 else time.perf_counter
        turns = {name: burst(partial(encode, texts), effort.burst, clock) for name, encode in zip(CONTENDERS, encodes, strict=True)}
        yield length, interleaved(turns, effort.row)


def sequences(length: int, count: int) -> list[TokenIds]:
    """Return token ids of `count` texts of exactly `length` tokens, the same on every call."""
    words = np.random.default_rng(SEED).integers(WORDS.start, WORDS.stop, (count, length), np.int64)
    words[:, 0], words[:, -1] = FIRST, LAST
    return list(words)
