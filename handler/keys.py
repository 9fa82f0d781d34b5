"""API keys for HTTP requests, from the environment or from one secret in Secrets Manager.

Keys are kept and compared as hashes, in constant time. A secret holds one key, or a JSON object of names and keys. If it holds one
key, its current and its previous version are both valid, so that the key can be rotated while clients still use the old one. If it
holds an object, only its current version is valid, so that each key can be revoked by itself. Keys are never logged; names are.
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

REFRESH_SECONDS = 300
"""The secret is read again after this time, so that a rotated key is valid within it."""
FAILED_REFRESH_SECONDS = 1
"""A secret that was never read is read again after this time: until then every request fails."""
UNKNOWN_KEY_REFRESH_SECONDS = 30
"""Because of an unknown key, the secret is read again, but only after this time, so that guessed keys cause few requests."""


class Keys(Protocol):
    """A set of valid keys."""

    def accepts(self, key: str) -> bool:
        """Return whether `key` is valid."""
        ...

    def name_of(self, key: str) -> str:
        """Return the name of a valid key; "" if it has none."""
        ...


class FixedKeys:
    """Keys that do not change."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = _hashes(keys)

    def accepts(self, key: str) -> bool:
        """Return whether `key` is one of these keys."""
        return _among(_hash(key), self._hashes)

    def name_of(self, key: str) -> str:
        """Return "", because fixed keys have no names."""
        del key
        return ""


class SecretKeys:
    """The keys of a secret, which is read at the start, every few minutes, and for an unknown key.

    The secret is read during a request, never between requests, because Lambda freezes an environment that has responded. While
    Secrets Manager fails, the last known keys stay valid.
    """

    def __init__(self, read: Callable[[], Iterable[str]], clock: Callable[[], float] = time.monotonic) -> None:
        """Read the keys for the first time. `read` returns the valid keys; if they have names, as a mapping to their names."""
        self._read = read
        self._names: Mapping[bytes, str] = {}
        self._clock = clock
        self._hashes: frozenset[bytes] | None = None
        self._refresh()

    def accepts(self, key: str) -> bool:
        """Return whether `key` is in the secret, as it was when it was last read.

        Raises:
            Backend: the secret could never be read, so that no key is known to be valid or wrong.
        """
        age = self._clock() - self._read_at
        if age >= (FAILED_REFRESH_SECONDS if self._hashes is None else REFRESH_SECONDS):
            self._refresh()
            age = 0
        if self._hashes is None:
            msg = "The API keys cannot be read; the log says why"
            raise Backend(msg)
        hashed = _hash(key)
        if not _among(hashed, self._hashes) and age >= UNKNOWN_KEY_REFRESH_SECONDS:
            self._refresh()
        return _among(hashed, self._hashes)

    def name_of(self, key: str) -> str:
        """Return the name that the secret gives a key; "" if it gives none."""
        return self._names.get(_hash(key), "")

    def renew(self) -> None:
        """Read the keys again, over a new connection."""
        _client.cache_clear()
        self._refresh()

    def _refresh(self) -> None:
        self._read_at = self._clock()
        try:
            keys = self._read()
            self._hashes = _hashes(keys)
            self._names = {_hash(key.strip()): name for key, name in keys.items()} if isinstance(keys, Mapping) else {}
        except Exception as error:  # noqa: BLE001 - whatever fails, the known keys stay valid
            telemetry.log("keys_not_read", error=type(error).__name__)
            return
        if not self._hashes:
            telemetry.log("no_keys", reason="every version of the secret is empty or white space: no key is valid")


def read_keys(secret: str) -> dict[str, str]:
    """Read the valid keys of a secret in Secrets Manager, each with its name: "" if it has none."""
    client = _client()
    current = read_secret(secret)
    named = _named(current)
    if named is not None:
        return named
    versions = [current]
    with suppress(client.exceptions.ResourceNotFoundException):  # the secret was never rotated
        versions.append(client.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"])
    return {version.strip(): "" for version in versions if version.strip() and _named(version) is None}


def read_secret(secret: str) -> str:
    """Read the current version of a secret in Secrets Manager."""
    value: str = _client().get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]
    return value


def _named(value: str) -> dict[str, str] | None:
    """Read a JSON object of names and keys; None if `value` is not an object. An entry that is empty or not a string is no key."""
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
    """Hash all keys except empty ones: a secret of white space must not be valid for requests without a key."""
    return frozenset(_hash(key) for key in keys if key.strip())


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _among(hashed: bytes, known: Iterable[bytes]) -> bool:
    """Return whether `hashed` is one of `known`. The time does not depend on its position."""
    found = False
    for one in known:
        found |= hmac.compare_digest(one, hashed)
    return found
