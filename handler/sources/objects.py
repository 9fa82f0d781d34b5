"""An object in S3, read in parts, of any size.

A part is one request: while its records are embedded no connection is held open, and one that breaks costs a part.

IAM: s3:GetObject on the objects, and s3:GetObjectVersion where versions are named; s3:ListBucket on the bucket, without which S3
answers 403 for an object that is gone, as it does for one that may not be read, and that is tried again.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from handler.aws import Client, error_name, error_status
from handler.errors import Backend, Validation
from handler.records import StoredObject
from handler.sources.files import Piece, kind_from, pieces

PART_BYTES = 8 * 1024 * 1024
"""500 MB are 60 requests, 2 cents in a million."""
ATTEMPTS = 3
"""Of each part, with pauses of 0.2 and 0.4 s; botocore makes its own before an answer begins."""
PAUSE_SECONDS = 0.2
FORBIDDEN, NOT_FOUND, CHANGED, BEYOND_THE_END = 403, 404, 412, 416


class Forbidden(Backend):
    """The right to read an object is missing, or the object itself where even that may not be known."""


def lines(client: Client, stored: StoredObject, text_field: str) -> Iterator[Piece]:
    """The records of an object from its offset on: their fields or why they have none, and the bytes they take.

    Offsets are of what was decompressed, if it is gzip; what lies before the first is then decompressed again.

    Raises:
        Validation: the name says of no kind of file that is known, or the object is gone or was written over.
        Forbidden: it may not be read.
        Backend: S3 does not answer.
    """
    return pieces(ObjectContent(client, stored), kind_from(stored.key), text_field, stored.offset)


class ObjectContent:
    """The bytes of one state of an object: that of the version or the ETag given, else the first that was met."""

    def __init__(self, client: Client, stored: StoredObject) -> None:
        """Read `stored`."""
        self._client = client
        self._stored = stored

    @property
    def name(self) -> str:
        """The key."""
        return self._stored.key

    def read(self, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on, part by part.

        Raises:
            Validation, Backend: as `lines`.
        """
        while part := self._part(offset):
            yield part
            offset += len(part)
            if len(part) < PART_BYTES:
                return

    def _part(self, offset: int) -> bytes:
        """The next PART_BYTES, or what there is; nothing at the end."""
        for attempt in range(ATTEMPTS):
            try:
                return self._get(offset)
            except Exception as error:  # a cut connection can raise anything
                status = error_status(error)
                if status == BEYOND_THE_END:
                    return b""
                if error_name(error) in FAULTS_OF_THE_ADDRESS:
                    msg = f"The object's address cannot be one of S3's: {error_name(error)}"
                    raise Validation(msg) from error
                if status in REASONS:
                    raise Validation(REASONS[status].format(self._stored.uri)) from error
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
        place = f"bytes={offset}-{offset + PART_BYTES - 1}"
        response = self._client.get_object(Bucket=self._stored.bucket, Key=self._stored.key, Range=place, **state)
        part: bytes = response["Body"].read()
        # What follows must be of the same state.
        self._stored = replace(self._stored, etag=response["ETag"])
        return part


FAULTS_OF_THE_ADDRESS = {"InvalidBucketName", "KeyTooLongError", "InvalidArgument", "ParamValidationError", "MethodNotAllowed"}
"""By S3's or botocore's name: no retry changes them. `MethodNotAllowed` is of a version that only marks a deletion."""
REASONS = {
    NOT_FOUND: "There is no {} any more",
    CHANGED: "{} was written over since its event",
}
