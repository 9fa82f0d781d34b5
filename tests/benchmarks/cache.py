"""Measure hits and misses of the cache in a warm environment, next to encoding without a cache.

The store is moto's: in Python, on this machine. The processor time that a look-up takes on our side of the socket is the same with
DynamoDB, so it's told apart; the rest is to be put in for one's own network.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from unittest.mock import patch

import numpy as np

from events.dynamodb import LocalDynamoDB
from handler.bootstrap import load_service
from handler.cache.codec import Scaled16
from handler.service import Options, Service
from handler.vectors import Vectors
from layers.model.corpus import passages

from .effort import Effort
from .models import FP32, INT8
from .request import SPECIAL, WORDS
from .rounds import Turn, interleaved, once
from .tables import Table

TOKENS = (16, 128, 256)
"""The default model truncates texts at 256 tokens."""
TEXTS = (1, 32)
NUMBERS = count()
PLAIN = Options(use_cache=False)
COLUMNS = ("encode", "memory", "table", "miss", "ours")


def tables(effort: Effort) -> Iterator[Table]:
    """Measure milliseconds per request, and the precision that the codec loses."""
    with LocalDynamoDB() as dynamodb, patch.dict(os.environ, dynamodb.environment):
        rows = [_request(tokens, texts, effort) for tokens in TOKENS for texts in TEXTS]
    yield Table(
        "Cache: milliseconds a request",
        [
            "encode: nothing looked up; memory, table: every vector found there; miss: looked up in the table and encoded, the",
            "write left for after the answer. The table is moto's: of any other `ours` stays, our processor time for a look-up",
        ],
        dict.fromkeys(("tokens", "texts"), "d") | dict.fromkeys((*COLUMNS, *(f"{name} / encode" for name in COLUMNS[1:4])), ".2f"),
        rows,
    )
    yield Table(
        "Codec: 1 - cosine",
        ["16 bits a number: what it loses of float32 vectors, beside what int8 weights lose"],
        {"of": "s", "mean": ".1e", "maximum": ".1e"},
        _lost(effort),
    )


def _request(tokens: int, texts: int, effort: Effort) -> tuple[float, ...]:
    later: deque[Callable[[float], None]] = deque(maxlen=1)
    settings = {"MODEL_DIR": str(INT8), "CACHE_TABLE": os.environ["CACHE_TABLE"], "CACHE_BUDGET_MS": "60000"}
    near = load_service(settings, later.append)
    far = load_service(settings | {"CACHE_MEMORY_MB": "0"}, later.append)
    known = _new(tokens, texts)
    near.embed(known, Options())
    later.popleft()(60)
    turns: dict[str, Turn] = {
        "encode": once(lambda: near.embed(known, PLAIN)),
        "memory": once(lambda: near.embed(known, Options())),
        "table": once(lambda: far.embed(known, Options())),
        "miss": partial(_miss, far, tokens, texts),
    }
    turns["ours"] = partial(_processor_seconds, turns["table"])
    timings = interleaved(turns, effort.row)
    ratios = (timings.ratio(name, "encode") for name in COLUMNS[1:4])
    return (tokens, texts, *(timings.median(name) * 1000 for name in COLUMNS), *ratios)


def _miss(service: Service, tokens: int, texts: int) -> float:
    """Return the seconds of a request with texts that are new."""
    return once(partial(service.embed, _new(tokens, texts), Options()))()


def _processor_seconds(turn: Turn) -> float:
    """Return the seconds of CPU time of all threads of this process during a turn."""
    started = time.process_time()
    turn()
    return time.process_time() - started


def _lost(effort: Effort) -> list[tuple[str, float, float]]:
    texts = passages("scoring", effort.fidelity_passages)
    options = Options(normalize=False, use_cache=False)
    vectors = load_service({"MODEL_DIR": str(FP32)}).embed(texts, options).vectors
    pairs = {"codec": Scaled16(vectors.shape[1]).rounded(vectors)}
    pairs["int8 and codec"] = load_service({"MODEL_DIR": str(INT8)}).embed(texts, options).vectors
    return [(name, *_distances(vectors, other)) for name, other in pairs.items()]


def _distances(vectors: Vectors, others: Vectors) -> tuple[float, float]:
    """Return mean and maximum of 1 - cosine, as half the squared distance of unit vectors, which loses no digits to rounding."""
    one, other = (each / np.linalg.norm(each.astype(np.float64), axis=1, keepdims=True) for each in (vectors, others))
    lost = np.square(one - other).sum(axis=1) / 2
    return lost.mean(), lost.max()


def _new(tokens: int, texts: int) -> list[str]:
    """Make new texts of so many tokens."""
    return [_text(tokens - SPECIAL, next(NUMBERS)) for _ in range(texts)]


def _text(words: int, number: int) -> str:
    """Write a number as words for its digits."""
    return " ".join(WORDS[number // len(WORDS) ** place % len(WORDS)] for place in range(words))
