"""Objects of S3, of any size, read in parts.

Each part is one request. While its records are embedded, no connection is open; a broken connection costs one part.

IAM: s3:GetObject on the objects, and s3:GetObjectVersion if versions are named; s3:ListBucket on the bucket. Without the latter, S3
answers 403 instead of 404 for a deleted object. That looks like a missing right, which is retried.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from handler.aws import Client, error_name, error_status
from handler.errors import Backend, Validation
from handler.records import StoredObject
from handler.sources.files import FileRecord, find_file_kind, read_file

PART_BYTES = 8 * 1024 * 1024
"""An object of 500 MB takes 60 requests; a million of such requests cost $0.40."""
ATTEMPTS = 3
"""Attempts at each part, with pauses of 0.2 and 0.4 s. botocore's own retries end when a response begins."""
PAUSE_SECONDS = 0.2
FORBIDDEN, NOT_FOUND, CHANGED, BEYOND_THE_END = 403, 404, 412, 416


class Forbidden(Backend):
    """S3 answers 403: the right to read the object is missing, or it does not exist and the right to know that is missing."""


def read_fields(client: Client, stored: StoredObject, text_field: str) -> Iterator[FileRecord]:
    """Yield the records of an object, from its offset on: their fields or why they have none, and their bytes.

    Offsets count decompressed bytes. In a gzip, everything before the first one is decompressed again.

    Raises:
        Validation: the name has no known ending, or the object was deleted or overwritten.
        Forbidden: S3 answers 403.
        Backend: S3 cannot be reached, or fails.
    """
    return read_file(ObjectContent(client, stored), find_file_kind(stored.key), text_field, stored.offset)


class ObjectContent:
    """The bytes of one state of an object: of the given version or ETag, or of the first ETag that S3 returns."""

    def __init__(self, client: Client, stored: StoredObject) -> None:
        """Read `stored`."""
        self._client = client
        self._stored = stored

    @property
    def name(self) -> str:
        """The key."""
        return self._stored.key

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on, part by part.

        Raises:
            Validation, Backend: as `read_fields`.
        """
        while part := self._part(offset):
            yield part
            offset += len(part)
            if len(part) < PART_BYTES:
                return

    def _part(self, offset: int) -> bytes:
        """Return the next PART_BYTES, or as many as there are; nothing at the end."""
        for attempt in range(ATTEMPTS):
            try:
                return self._get(offset)
            except Exception as error:  # a broken connection can raise anything
                status = error_status(error)
                if status == BEYOND_THE_END:
                    return b""
                if error_name(error) in FAULTS_OF_THE_ADDRESS:
                    msg = f"No object of S3 can have this address: {error_name(error)}"
                    raise Validation(msg) from error
                if status in PERMANENT_STATUSES:
                    raise Validation(PERMANENT_STATUSES[status].format(self._stored.uri)) from error
                if status == FORBIDDEN:
                    msg = f"{self._stored.uri} may not be read: {error_name(error)}"
                    raise Forbidden(msg) from error
                if attempt == ATTEMPTS - 1:
                    msg = f"{self._stored.uri} could not be read from byte {offset} on: {error_name(error)}"
                    raise Backend(msg) from error
                time.sleep(PAUSE_SECONDS * 2**attempt)
        raise AssertionError

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


FAULTS_OF_THE_ADDRESS = {"InvalidBucketName", "KeyTooLongError", "InvalidArgument", "ParamValidationError", "MethodNotAllowed"}
"""Errors, by the names of S3 and botocore, that no retry changes. `MethodNotAllowed` means that the version is a delete marker."""
PERMANENT_STATUSES = {
    NOT_FOUND: "{} does not exist any more",
    CHANGED: "{} was overwritten since its event",
}
"""The sentences for statuses of S3 that no retry changes."""
