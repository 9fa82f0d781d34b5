"""Objects under one prefix of an S3 bucket, as streams: parts are fetched at the same time and handed over in order.

Law: knows nothing of models. Whatever befalls a read ends in the bytes of one whole object or in one sentence, never in part of
it passed off as the whole, nor in parts of two versions.
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
"""Parts under way at the same time. One connection to S3 brings 50 to 90 MB/s, and the memory that this takes is AHEAD parts."""
CHUNK_BYTES = 256 << 10
"""What is taken from a connection at a time: urllib3 makes a copy of it."""
PAUSES = (0.1, 0.4)
"""Seconds before the second and the third attempt at a part."""
SERVER_ERROR = 500


class Cut(Exception):  # noqa: N818 - what happened, not an error of ours
    """A body ended before its time."""


class NotS3(Exception):  # noqa: N818 - likewise
    """An answer without what S3's has."""


@dataclass(frozen=True, slots=True)
class Part:
    """One range of an object, and the size and version of the whole.

    The content is mapped memory, which goes back to the system at once: what threads free of the heap stays with the process.
    """

    content: mmap.mmap
    size: int
    tag: str


class Bucket:
    """The objects under s3://`name`/`prefix`, which the sentences call `called`."""

    def __init__(self, client: Any, name: str, prefix: str, called: str) -> None:  # noqa: ANN401 - botocore makes its clients' types at run time
        """Read with `client`."""
        self._client = client
        self._name = name
        self._prefix = prefix
        self._called = called

    @classmethod
    def at(cls, uri: str, called: str) -> Self:
        """The bucket and prefix of `uri`; region, credentials and endpoint are botocore's to find.

        Raises:
            Backend: a setting of botocore's own cannot be used.
        """
        name, _, prefix = uri.removeprefix("s3://").partition("/")
        # A part is tried again here rather than there: botocore's attempts end where the body begins.
        try:
            return cls(connect("s3", read_seconds=5, connections=AHEAD), name, prefix, called)
        except UNUSABLE as error:
            msg = f"{called} cannot be read: {error}"
            raise Backend(msg) from None

    def start(self, name: str) -> bytes:
        """The object's first part, which is all of a small one.

        Raises:
            Backend: it cannot be read; the sentence says why.
        """
        return self._part(name, 0, {}).content[:]

    def parts(self, name: str) -> Generator[mmap.mmap]:
        """The object's content, in order. All parts are of the version that the first was of.

        Raises:
            Backend: a part cannot be read; the sentence says why.
        """
        first = self._part(name, 0, {})
        same = {"IfMatch": first.tag}
        places = iter(range(PART_BYTES, first.size, PART_BYTES))
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="bucket") as threads:
            under_way = deque(threads.submit(self._part, name, place, same) for place in islice(places, AHEAD))
            yield first.content
            while under_way:
                content = under_way.popleft().result().content
                under_way.extend(threads.submit(self._part, name, place, same) for place in islice(places, 1))
                yield content

    def _part(self, name: str, place: int, condition: Mapping[str, str]) -> Part:
        """One part, tried again where that may help."""
        pauses = iter(PAUSES)
        while True:
            try:
                return self._attempt(name, place, condition)
            except Exception as error:  # noqa: BLE001 - a network's garbage can raise anything
                pause = next(pauses, None)
                if pause is None or not _passing(error):
                    raise self._refusal(name, error) from None
            time.sleep(pause)

    def _attempt(self, name: str, place: int, condition: Mapping[str, str]) -> Part:
        wanted = f"bytes={place}-{place + PART_BYTES - 1}"
        response = self._client.get_object(Bucket=self._name, Key=f"{self._prefix}/{name}", Range=wanted, **condition)
        if not {"ContentRange", "ETag", "Body"} <= response.keys():
            raise NotS3
        size = int(response["ContentRange"].rpartition("/")[2])
        content = mmap.mmap(-1, min(PART_BYTES, size - place))
        view, filled = memoryview(content), 0
        while filled < len(content):
            count = response["Body"].readinto(view[filled : filled + CHUNK_BYTES])
            if not count:
                raise Cut
            filled += count
        return Part(content, size, response["ETag"])

    def _refusal(self, name: str, error: Exception) -> Backend:
        code = error_name(error)
        what = REASONS.get(code) or f"cannot be read ({code})"
        return Backend(f"The file {name} in {self._called} {what}")


REASONS = {
    "NoSuchBucket": "is missing: there is no such bucket",
    "NoSuchKey": "is missing",
    "404": "is missing",
    # Without s3:ListBucket, which nothing here needs, S3 does not tell the two apart.
    "AccessDenied": "is missing, or this function has no right to read it (s3:GetObject)",
    "403": "is missing, or this function has no right to read it (s3:GetObject)",
    "PreconditionFailed": "changed while it was read",
    "412": "changed while it was read",
    "InvalidRange": "is empty",
    "416": "is empty",
}
"""By S3's code: the end of the sentence."""


def _passing(error: Exception) -> bool:
    """Whether the same read may fare better in a moment: S3's own no stays a no, its trouble and the network's may pass."""
    status = error_status(error)
    return status is None or status >= SERVER_ERROR
