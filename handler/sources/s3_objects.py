"""Read objects of S3, of any size, in parts.

Each part is one request. While its records are embedded, no connection is open. After a broken connection, only one part is read
again.

IAM: s3:GetObject on the objects, and s3:GetObjectVersion if versions are named; s3:ListBucket on the bucket. Without s3:ListBucket,
S3 responds with 403 instead of 404 for a deleted object. That looks like a missing right, which is retried.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from handler.aws import Client, error_name, error_status
from handler.errors import Backend, Validation
from handler.records import StoredObject
from handler.sources.files import FileRecord, find_file_kind, read_file

PART_BYTES = 8 * 1024 * 1024
"""An object of 500 MB takes 60 requests; a million of such requests cost $0.40."""
ATTEMPTS = 3
"""The number of attempts to read a part, with pauses of 0.2 and 0.4 s. botocore does not retry once a response has begun."""
PAUSE_SECONDS = 0.2
FORBIDDEN, NOT_FOUND, CHANGED, BEYOND_THE_END = 403, 404, 412, 416


class Forbidden(Backend):
    """S3 responds with 403: the right to read the object is missing, or it does not exist and the right to list it is missing."""


def read_fields(client: Client, stored: StoredObject, text_field: str) -> Iterator[FileRecord]:
    """Yield the records of an object, from its offset on: their places, and their fields or the failure to read them.

    Offsets count decompressed bytes. In a gzip, everything before the offset is decompressed again.

    Raises:
        Validation: the name has no known ending, or the object was deleted or overwritten.
        Forbidden: S3 responds with 403.
        Backend: S3 cannot be reached, or fails.
    """
    return read_file(ObjectContent(client, stored), find_file_kind(stored.key), text_field, stored.offset)


class ObjectContent:
    """The bytes of one state of an object: of the given version or ETag, or of the first ETag that S3 returns."""

    def __init__(self, client: Client, stored: StoredObject) -> None:
        """Read `stored` with `client`."""
        self._client = client
        self._stored = stored

    @property
    def name(self) -> str:
        """The object's key."""
        return self._stored.key

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on, part by part.

        Raises:
            Validation, Backend: for the same reasons as `read_fields`.
        """
        while part := self._part(offset):
            yield part
            offset += len(part)
            if len(part) < PART_BYTES:
                return

    def _part(self, offset: int) -> bytes:
        """Return the next part, of at most PART_BYTES; it is empty at the end of the object."""
        return _attempt(self._stored, f"from byte {offset} on", lambda: self._get(offset), {BEYOND_THE_END: b""})

    def _get(self, offset: int) -> bytes:
        state: dict[str, Any] = {}
        if self._stored.version:
            state["VersionId"] = self._stored.version
        if self._stored.etag:
            state["IfMatch"] = self._stored.etag
        byte_range = f"bytes={offset}-{offset + PART_BYTES - 1}"
        response = self._client.get_object(Bucket=self._stored.bucket, Key=self._stored.key, Range=byte_range, **state)
        part: bytes = response["Body"].read()
        # All later parts must be of the same state.
        self._stored = replace(self._stored, etag=response["ETag"])
        return part


def find_etag(client: Client, stored: StoredObject) -> str | None:
    """Return the ETag of an object's current state; None if it does not exist.

    Raises:
        Validation, Backend: for the same reasons as `read_fields`.
    """

    def head() -> str | None:
        etag: str = client.head_object(Bucket=stored.bucket, Key=stored.key)["ETag"]
        return etag

    return _attempt(stored, "to see its state", head, {NOT_FOUND: None})


def _attempt[Answer](
    stored: StoredObject, purpose: str, call: Callable[[], Answer], known_statuses: Mapping[int, Answer]
) -> Answer:
    """Return the result of a call, in up to ATTEMPTS attempts, or the result that a known status of its error stands for.

    Raises:
        Validation, Backend: for the same reasons as `read_fields`.
    """
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except Exception as error:  # a broken connection can raise anything
            status = error_status(error)
            if status is not None and status in known_statuses:
                return known_statuses[status]
            if error_name(error) in FAULTS_OF_THE_ADDRESS:
                msg = f"No object of S3 can have this address: {error_name(error)}"
                raise Validation(msg) from error
            if status in PERMANENT_STATUSES:
                raise Validation(PERMANENT_STATUSES[status].format(stored.uri)) from error
            if status == FORBIDDEN:
                msg = f"{stored.uri} may not be read: {error_name(error)}"
                raise Forbidden(msg) from error
            if attempt == ATTEMPTS - 1:
                msg = f"{stored.uri} could not be read {purpose}: {error_name(error)}"
                raise Backend(msg) from error
            time.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError


FAULTS_OF_THE_ADDRESS = {"InvalidBucketName", "KeyTooLongError", "InvalidArgument", "ParamValidationError", "MethodNotAllowed"}
"""Errors of S3 and botocore, by name, that a retry cannot change. `MethodNotAllowed`: the version is a delete marker."""
PERMANENT_STATUSES = {
    NOT_FOUND: "{} does not exist any more",
    CHANGED: "{} was overwritten since its event",
}
"""The sentences for statuses of S3 that a retry cannot change."""
