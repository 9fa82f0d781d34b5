"""Who may call over HTTP: API keys from the environment or from one secret of Secrets Manager.

Keys are kept and compared as hashes, in constant time. A secret holds one key, or a JSON object of names and keys. Of one key the
secret's current and previous version are both valid, so that it can be rotated while clients still use the old one. Of an object
only the current version is valid, so that each key can be revoked by itself; its name is logged, never the key.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping
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

    def name_of(self, key: str) -> str:
        """Return the name of a valid key; "" if it has none."""
        ...


class FixedKeys:
    """Keys given once."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = _hashes(keys)

    def accepts(self, key: str) -> bool:
        """Whether `key` is one of them."""
        return _among(_hash(key), self._hashes)

    def name_of(self, key: str) -> str:
        """Return "": these have no names."""
        del key
        return ""


class SecretKeys:
    """The versions of a secret, read at the start, every few minutes, and when a key is unknown.

    Read within a request, never beside it: Lambda freezes an environment once it has answered, and with it whatever was under way.
    While the store fails the last known keys stay valid.
    """

    def __init__(self, read: Callable[[], Iterable[str]], clock: Callable[[], float] = time.monotonic) -> None:
        """Read the keys for the first time; `read` gives the valid ones, as a mapping to their names if they have any."""
        self._read = read
        self._names: Mapping[bytes, str] = {}
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

    def name_of(self, key: str) -> str:
        """Return the name that the secret gives a key; "" if it gives none."""
        return self._names.get(_hash(key), "")

    def renew(self) -> None:
        """Read the keys anew, and over a new connection."""
        _client.cache_clear()
        self._refresh()

    def _refresh(self) -> None:
        self._asked = self._clock()
        try:
            keys = self._read()
            self._hashes = _hashes(keys)
            self._names = {_hash(key.strip()): name for key, name in keys.items()} if isinstance(keys, Mapping) else {}
        except Exception as error:  # noqa: BLE001 - whatever the store's trouble is, the known keys stay valid
            telemetry.log("keys_not_read", error=type(error).__name__)
            return
        if not self._hashes:
            telemetry.log("no_keys", reason="every version of the secret is empty or white space: no key is valid")


def versions_of(secret: str) -> dict[str, str]:
    """The valid keys of a secret in Secrets Manager, each with its name: "" if it has none."""
    client = _client()
    current = value_of(secret)
    named = _named(current)
    if named is not None:
        return named
    versions = [current]
    with suppress(client.exceptions.ResourceNotFoundException):  # where it was never rotated
        versions.append(client.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"])
    return {version.strip(): "" for version in versions if version.strip() and _named(version) is None}


def value_of(secret: str) -> str:
    """Read the current version of a secret in Secrets Manager."""
    value: str = _client().get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]
    return value


def _named(value: str) -> dict[str, str] | None:
    """Read a JSON object of names and keys; None if `value` is no object. An entry that is no text, or empty, is no key."""
    try:
        found = json.loads(value)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return {key.strip(): name for name, key in found.items() if isinstance(key, str) and key.strip()}


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
