"""Read objects under one prefix of an S3 bucket as streams: several parts are fetched at the same time and yielded in order.

Law: knows nothing of models. A read returns all bytes of one version of an object, or raises an error with one sentence.
"""

import mmap
import time
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

from handler.aws import UNUSABLE, connect, error_name, error_status
from handler.errors import Backend

PART_BYTES = 4 << 20
AHEAD = 8
"""The parts that are fetched at the same time, and held in memory. One connection to S3 transfers 50 to 90 MB/s."""
CHUNK_BYTES = 256 << 10
"""The bytes that are read from a connection at a time. urllib3 copies them."""
PAUSES = (0.1, 0.4)
"""The seconds before the second and before the third attempt to fetch a part."""
SERVER_ERROR = 500


class IncompleteBody(Exception):  # noqa: N818 - its name is a part of the error sentence
    """The body of a response ended too early."""


class NotS3(Exception):  # noqa: N818 - its name is a part of the error sentence
    """A response lacks fields that every response of S3 has."""


@dataclass(frozen=True, slots=True)
class Part:
    """One range of an object, and the size and the version of the whole object.

    The content is mapped memory, which returns to the system at once when it is freed. Heap memory that threads free does not.
    """

    content: mmap.mmap
    size: int
    tag: str


class Bucket:
    """The objects under s3://`name`/`prefix`. Error sentences name this place by `place`."""

    def __init__(self, client: Any, name: str, prefix: str, place: str) -> None:  # noqa: ANN401 - botocore creates the classes of its clients at run time
        """Read objects with `client`."""
        self._client = client
        self._name = name
        self._prefix = prefix
        self.place = place

    @classmethod
    def at(cls, uri: str, place: str) -> Self:
        """Return the bucket and prefix of `uri`. botocore finds region, credentials and endpoint.

        Raises:
            Backend: there is no region, or one of botocore's own settings is invalid.
        """
        name, _, prefix = uri.removeprefix("s3://").partition("/")
        # Parts are retried here and not by botocore, which does not retry once the body of a response has begun.
        try:
            return cls(connect("s3", read_seconds=5, connections=AHEAD), name, prefix, place)
        except UNUSABLE as error:
            msg = f"{place} cannot be read: {error}"
            raise Backend(msg) from None

    def start(self, name: str) -> bytes:
        """Return the first part of an object, which is the whole object if it is small.

        Raises:
            Backend: it cannot be read; the sentence says why.
        """
        return self._part(name, 0, {}).content[:]

    def parts(self, name: str) -> Generator[mmap.mmap]:
        """Yield the content of an object in order. All parts are of the same version as the first.

        Raises:
            Backend: a part cannot be read; the sentence says why.
        """
        first = self._part(name, 0, {})
        same_version = {"IfMatch": first.tag}
        starts = iter(range(PART_BYTES, first.size, PART_BYTES))
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="bucket") as threads:
            futures = deque(threads.submit(self._part, name, start, same_version) for start in islice(starts, AHEAD))
            yield first.content
            while futures:
                content = futures.popleft().result().content
                futures.extend(threads.submit(self._part, name, start, same_version) for start in islice(starts, 1))
                yield content

    def _part(self, name: str, start: int, condition: Mapping[str, str]) -> Part:
        """Fetch one part; retry if that may help."""
        pauses = iter(PAUSES)
        while True:
            try:
                return self._attempt(name, start, condition)
            except Exception as error:  # noqa: BLE001 - a broken response can raise anything
                pause = next(pauses, None)
                if pause is None or not _is_transient(error):
                    raise self._refusal(name, error) from None
            time.sleep(pause)

    def _attempt(self, name: str, start: int, condition: Mapping[str, str]) -> Part:
        byte_range = f"bytes={start}-{start + PART_BYTES - 1}"
        response = self._client.get_object(Bucket=self._name, Key=f"{self._prefix}/{name}", Range=byte_range, **condition)
        if not {"ContentRange", "ETag", "Body"} <= response.keys():
            raise NotS3
        size = int(response["ContentRange"].rpartition("/")[2])
        content = mmap.mmap(-1, min(PART_BYTES, size - start))
        view, filled = memoryview(content), 0
        while filled < len(content):
            count = response["Body"].readinto(view[filled : filled + CHUNK_BYTES])
            if not count:
                raise IncompleteBody
            filled += count
        return Part(content, size, response["ETag"])

    def _refusal(self, name: str, error: Exception) -> Backend:
        code = error_name(error)
        reason = SENTENCE_ENDINGS.get(code) or f"cannot be read ({code})"
        return Backend(f"The file {name} in {self.place} {reason}")


SENTENCE_ENDINGS = {
    "NoSuchBucket": "is missing: there is no such bucket",
    "NoSuchKey": "is missing",
    "404": "is missing",
    # Without the permission s3:ListBucket, which nothing here needs, S3 gives the same code for both.
    "AccessDenied": "is missing, or this function has no right to read it (s3:GetObject)",
    "403": "is missing, or this function has no right to read it (s3:GetObject)",
    "PreconditionFailed": "changed while it was read",
    "412": "changed while it was read",
    "InvalidRange": "is empty",
    "416": "is empty",
}
"""The end of the error sentence, by S3's error code."""


def _is_transient(error: Exception) -> bool:
    """Return whether the same read may succeed in a moment: after a failure of S3 or the network, but not after a refusal by S3."""
    status = error_status(error)
    return status is None or status >= SERVER_ERROR
