"""Vectors by their keys: from this process's memory, else from the table."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from handler import telemetry
from handler.cache.accounts import Account, unaccounted
from handler.cache.codec import Codec, Vector, Vectors
from handler.cache.key import CacheKeys, Key
from handler.cache.memory import Memory
from handler.cache.policy import Policy
from handler.cache.table import NoTable, Table
from handler.errors import OutOfTime

type Work = Callable[[float], None]
"""What may wait until the answer has left; it is given the seconds it may take."""

type Encode = Callable[[list[Key]], Vectors]
"""Vectors of keys, in their order."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A table, which texts it is for, when it is written to, and who is told what came of it."""

    table: Table
    policy: Policy
    later: Callable[[Work], None]
    settle: Callable[[Account], None]


NOWHERE = Remote(NoTable(), Policy(), later=lambda work: work(0), settle=unaccounted)
"""Beyond this process nothing is remembered."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A vector for each key. `hits` are the keys whose vector was remembered, `asked` says whether that was asked at all."""

    vectors: Mapping[Key, Vector]
    hits: Collection[Key]
    asked: bool


class VectorCache:
    """The cache as the service sees it: what is not remembered is encoded, by whom is the caller's to say."""

    def __init__(self, keys: CacheKeys, codec: Codec, memory: Memory, remote: Remote) -> None:
        """Remember vectors in `memory`, and beyond this process in `remote`."""
        self._keys = keys
        self._codec = codec
        self._memory = memory
        self._remote = remote

    def key(self, prompt: str, text: str, truncation: str) -> Key:
        """The key of a text's vector (see CacheKeys.key)."""
        return self._keys.key(prompt, text, truncation)

    def recall(self, tokens: Mapping[Key, int], encode: Encode) -> Recalled:
        """Return the vector of each key, given with the tokens of its text; every vector that had to be encoded is cached.

        Raises:
            OutOfTime: `encode` ran out of time. The vectors that it finished are cached, so that a retry resumes there.
        """
        account = Account()
        found = self._look_up(tokens, account)
        missing = [key for key in tokens if key not in found]
        started = time.perf_counter()
        late: OutOfTime | None = None
        try:
            encoded = self._rounded(missing, encode)
        except OutOfTime as error:
            late = error
            encoded = self._rounded([missing[place] for place in error.done], lambda _: np.stack(list(late.done.values())))
        account.encoding_seconds = time.perf_counter() - started
        account.encoded_tokens = sum(tokens[key] for key in encoded)
        self._remember(encoded, tokens, account)
        if late:
            raise late
        return Recalled(found | encoded, found.keys(), asked=True)

    def encode(self, tokens: Mapping[Key, int], encode: Encode) -> Recalled:
        """The same vectors, with nothing looked up and nothing remembered."""
        return Recalled(self._rounded(list(tokens), encode), (), asked=False)

    def _rounded(self, keys: list[Key], encode: Encode) -> dict[Key, Vector]:
        """Encoded vectors as rows give them back, so that a miss answers the same bytes as a hit."""
        return dict(zip(keys, self._codec.rounded(encode(keys)), strict=True)) if keys else {}

    def _look_up(self, tokens: Mapping[Key, int], account: Account) -> dict[Key, Vector]:
        found = {key: vector for key in tokens if (vector := self._vector(key, self._memory.get(key))) is not None}
        absent = [key for key in tokens if key not in found]
        asked = [key for key in absent if self._remote.policy.worth_it(tokens[key])]
        started = time.perf_counter()
        outcome = self._remote.table.read(asked)
        account.waiting_seconds = time.perf_counter() - started
        for key, row in outcome.rows.items():
            if (vector := self._vector(key, row)) is not None:
                found[key] = vector
                self._memory.put(key, row)
        _tell("read", outcome.errors, account)
        account.skipped = len(absent) - len(asked)
        account.rows_asked = len(asked)
        account.damaged = sum(key not in found for key in outcome.rows)
        account.bytes_read = sum(map(len, outcome.rows.values()))
        account.hits = len(found)
        account.hit_tokens = sum(tokens[key] for key in found)
        account.misses = len(tokens) - len(found) - account.skipped
        return found

    def _vector(self, key: Key, row: bytes | None) -> Vector | None:
        """The vector of a row that is there and is what it should be; any other is a miss, and will be written over."""
        return None if row is None else self._codec.decode(key, row)

    def _remember(self, vectors: Mapping[Key, Vector], tokens: Mapping[Key, int], account: Account) -> None:
        rows = {key: self._codec.encode(key, vector) for key, vector in vectors.items()}
        for key, row in rows.items():
            self._memory.put(key, row)
        stored = {key: row for key, row in rows.items() if self._remote.policy.worth_it(tokens[key])}

        def store(seconds: float) -> None:
            outcome = self._remote.table.write(stored, seconds)
            _tell("write", outcome.errors, account)
            account.rows_stored = len(outcome.rows)
            account.bytes_written = sum(map(len, outcome.rows.values()))
            self._remote.settle(account)

        self._remote.later(store)


def _tell(operation: str, errors: Counter[str], account: Account) -> None:
    if errors:
        account.errors += errors.total()
        telemetry.log("cache_failed", operation=operation, errors=", ".join(sorted(errors)), count=errors.total())
