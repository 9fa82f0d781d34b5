"""Find vectors by their keys: in this process's memory, then in the table. Encode those that neither of them has."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from handler import telemetry
from handler.cache.codec import Codec
from handler.cache.key import CacheKeys, Key
from handler.cache.memory import Memory
from handler.cache.metrics import Usage, ignore
from handler.cache.policy import Policy
from handler.cache.table import NoTable, Table
from handler.errors import OutOfTime
from handler.runtime_extension import Defer
from handler.vectors import Vector, Vectors

type Encode = Callable[[list[Key]], Vectors]
"""Returns the vectors of keys, in their order."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A table, the policy that decides which texts use it, and two functions: one defers writes, one reports a request's usage."""

    table: Table
    policy: Policy
    defer: Defer
    report: Callable[[Usage], None]


MEMORY_ONLY = Remote(NoTable(), Policy(), defer=lambda work: work(0), report=ignore)
"""The cache without a table: vectors are cached in this process only."""


@dataclass(frozen=True, slots=True)
class Found:
    """A vector for each key; `hits` are the keys that were cached. `is_looked_up` is false if the cache was not used."""

    vectors: Mapping[Key, Vector]
    hits: Collection[Key]
    is_looked_up: bool


class VectorCache:
    """Caches vectors in memory and in a table. The caller passes the function that encodes what is missing."""

    def __init__(self, keys: CacheKeys, codec: Codec, memory: Memory, remote: Remote) -> None:
        """Cache vectors in `memory`, and for other processes in `remote`."""
        self._keys = keys
        self._codec = codec
        self._memory = memory
        self._remote = remote

    def key(self, prompt: str, text: str, truncation: str) -> Key:
        """Return the key of a text's vector (see CacheKeys.key)."""
        return self._keys.key(prompt, text, truncation)

    def find_or_encode(self, tokens: Mapping[Key, int], encode: Encode) -> Found:
        """Return the vector of each key; encode and cache missing ones. `tokens` has the number of tokens of each text.

        Raises:
            OutOfTime: `encode` ran out of time. The vectors that it finished are cached, so that a retry resumes there.
        """
        usage = Usage()
        cached = self._look_up(tokens, usage)
        missing = [key for key in tokens if key not in cached]
        started = time.perf_counter()
        late: OutOfTime | None = None
        try:
            encoded = self._encode(missing, encode)
        except OutOfTime as error:
            late = error
            encoded = self._encode([missing[place] for place in error.done], lambda _: np.stack(list(late.done.values())))
        usage.encoding_seconds = time.perf_counter() - started
        usage.encoded_tokens = sum(tokens[key] for key in encoded)
        self._store(encoded, tokens, usage)
        if late:
            raise late
        return Found(cached | encoded, cached.keys(), is_looked_up=True)

    def encode(self, tokens: Mapping[Key, int], encode: Encode) -> Found:
        """Return the same vectors as `find_or_encode`, without looking anything up or caching anything."""
        return Found(self._encode(list(tokens), encode), (), is_looked_up=False)

    def _encode(self, keys: list[Key], encode: Encode) -> dict[Key, Vector]:
        """Encode vectors and round them to the precision of rows, so that a miss returns the same bytes as a hit."""
        return dict(zip(keys, self._codec.rounded(encode(keys)), strict=True)) if keys else {}

    def _look_up(self, tokens: Mapping[Key, int], usage: Usage) -> dict[Key, Vector]:
        found = {key: vector for key in tokens if (vector := self._vector(key, self._memory.get(key))) is not None}
        absent = [key for key in tokens if key not in found]
        requested = [key for key in absent if self._remote.policy.uses_table(tokens[key])]
        started = time.perf_counter()
        outcome = self._remote.table.read(requested)
        usage.waiting_seconds = time.perf_counter() - started
        for key, row in outcome.rows.items():
            if (vector := self._vector(key, row)) is not None:
                found[key] = vector
                self._memory.put(key, row)
        _report_errors("read", outcome.errors, usage)
        usage.skipped = len(absent) - len(requested)
        usage.rows_requested = len(requested)
        usage.damaged = sum(key not in found for key in outcome.rows)
        usage.bytes_read = sum(map(len, outcome.rows.values()))
        usage.hits = len(found)
        usage.hit_tokens = sum(tokens[key] for key in found)
        usage.misses = len(tokens) - len(found) - usage.skipped
        return found

    def _vector(self, key: Key, row: bytes | None) -> Vector | None:
        """Return the vector of a row. A missing or damaged row gives None: it is a miss, and will be overwritten."""
        return None if row is None else self._codec.decode(key, row)

    def _store(self, vectors: Mapping[Key, Vector], tokens: Mapping[Key, int], usage: Usage) -> None:
        rows = {key: self._codec.encode(key, vector) for key, vector in vectors.items()}
        for key, row in rows.items():
            self._memory.put(key, row)
        for_table = {key: row for key, row in rows.items() if self._remote.policy.uses_table(tokens[key])}

        def write(seconds: float) -> None:
            outcome = self._remote.table.write(for_table, seconds)
            _report_errors("write", outcome.errors, usage)
            usage.rows_stored = len(outcome.rows)
            usage.bytes_written = sum(map(len, outcome.rows.values()))
            self._remote.report(usage)

        self._remote.defer(write)


def _report_errors(operation: str, errors: Counter[str], usage: Usage) -> None:
    if errors:
        usage.errors += errors.total()
        telemetry.log("cache_failed", operation=operation, errors=", ".join(sorted(errors)), count=errors.total())
