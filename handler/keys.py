"""Who may call over HTTP: API keys from the environment or from one secret of Secrets Manager.

Keys are kept and compared as hashes, in constant time. A secret's current and previous version are both valid, so that a key can be
rotated while clients still use the old one.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, Protocol

from handler import telemetry
from handler.errors import Backend

REFRESH_S = 300
"""The secret is read again after so long: a rotated key is known within this time."""
FAILED_REFRESH_S = 1
"""Until it was read once, it is tried again so soon: no request can be answered before."""
UNKNOWN_KEY_REFRESH_S = 30
"""Nor is it read more often than this for the sake of keys it does not hold: guessing keys must not cost requests to the store."""


class Keys(Protocol):
    """Tells valid keys."""

    def accepts(self, key: str) -> bool:
        """Whether `key` is valid."""
        ...


class FixedKeys:
    """Keys given once."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = _hashes(keys)

    def accepts(self, key: str) -> bool:
        """Whether `key` is one of them."""
        return _among(_hash(key), self._hashes)


class SecretKeys:
    """The versions of a secret, read at the start, every few minutes, and when a key is unknown.

    Read within a request, never beside it: Lambda freezes an environment once it has answered, and with it whatever was under way.
    While the store fails the last known keys stay valid.
    """

    def __init__(self, read: Callable[[], Iterable[str]], clock: Callable[[], float] = time.monotonic) -> None:
        """Read the keys for the first time; `read` gives the valid ones or raises anything."""
        self._read = read
        self._clock = clock
        self._hashes: frozenset[bytes] | None = None
        self._refresh()

    def accepts(self, key: str) -> bool:
        """Whether `key` is in the secret now, or was when the store last answered.

        Raises:
            Backend: the store has never answered, so that no key can be told from another.
        """
        age = self._clock() - self._asked
        if age >= (FAILED_REFRESH_S if self._hashes is None else REFRESH_S):
            self._refresh()
            age = 0
        if self._hashes is None:
            msg = "The API keys cannot be read; the log says why"
            raise Backend(msg)
        hashed = _hash(key)
        if not _among(hashed, self._hashes) and age >= UNKNOWN_KEY_REFRESH_S:
            self._refresh()
        return _among(hashed, self._hashes)

    def renew(self) -> None:
        """Read the keys anew, and over a new connection."""
        _client.cache_clear()
        self._refresh()

    def _refresh(self) -> None:
        self._asked = self._clock()
        try:
            self._hashes = _hashes(self._read())
        except Exception as error:  # noqa: BLE001 - whatever the store's trouble is, the known keys stay valid
            telemetry.log("keys_not_read", error=type(error).__name__)
            return
        if not self._hashes:
            telemetry.log("no_keys", reason="every version of the secret is empty or white space: no key is valid")


def versions_of(secret: str) -> list[str]:
    """The current and the previous version of a secret in Secrets Manager."""
    client = _client()
    versions = [client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]]
    with suppress(client.exceptions.ResourceNotFoundException):  # where it was never rotated
        versions.append(client.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"])
    return [version.strip() for version in versions]


@cache
def _client() -> Any:  # noqa: ANN401 - botocore makes its clients' types at run time
    from handler.aws import connect  # noqa: PLC0415 - 0.1 s that a deployment without a secret does not pay

    return connect("secretsmanager", read_seconds=1, attempts=2)


def _hashes(keys: Iterable[str]) -> frozenset[bytes]:
    """The hashes of all keys but empty ones: a secret of white space must not let in whoever sends no key."""
    return frozenset(_hash(key) for key in keys if key.strip())


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _among(hashed: bytes, known: Iterable[bytes]) -> bool:
    """Whether one of `known` is `hashed`, in the same time wherever it stands."""
    found = False
    for one in known:
        found |= hmac.compare_digest(one, hashed)
    return found
