"""Embed an object of S3 shard by shard: read, embed, settle, write. When the time runs out, defer the rest.

An object that is one document has no shards: document_objects.py embeds it.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

from handler import telemetry
from handler.chunking import WHOLE, Chunking
from handler.errors import Backend, EmbeddingError, Unfinished
from handler.pipeline.batching import embed_contents
from handler.pipeline.document_objects import DocumentPipeline
from handler.pipeline.ports import FailureDestination, ObjectLine, ObjectStore, ShardSink, Sink
from handler.pipeline.settling import settle
from handler.pipeline.writing import flatten, write_outcomes
from handler.records import Failure, StoredObject
from handler.service import Service

SHARD_RECORDS, SHARD_BYTES = 1000, 4_000_000
"""A shard ends when it has this many lines, or its lines have this many bytes. Only one shard is in memory at a time."""
SPARE = 1.5
"""A shard is begun only if the time left is at least SPARE times the duration of the longest shard so far."""


class ObjectPipeline:
    """Embeds objects. It keeps the longest duration of a shard, to decide whether another shard fits into the time left."""

    def __init__(
        self,
        service: Service,
        sink: Sink,
        destination: FailureDestination | None,
        objects: ObjectStore,
        chunking: Chunking = WHOLE,
    ) -> None:
        """Read from `objects`, write to `sink`, and record permanent failures at `destination`."""
        self._service = service
        self._sink = sink
        self._destination = destination
        self._objects = objects
        self._chunking = chunking
        self._documents = DocumentPipeline(service, sink, destination, objects, chunking)
        self._longest_shard = 0.0

    def run(self, stored: StoredObject, deadline: float, *, used_time: bool) -> list[Failure]:
        """Embed an object as far as the time allows and defer the rest; return a failure if the whole object must be retried.

        `used_time` is True if an earlier message of the event has used part of the time. If too little is left, the object is
        deferred before it is read: a retry would count as one of the few attempts that its queue makes.
        """
        is_document = self._objects.is_document(stored)
        is_output = self._objects.is_output(stored)
        if is_output or (stored.is_deleted and not is_document):
            telemetry.log("own_object_skipped" if is_output else "deleted_object_skipped", uri=stored.uri)
            return []
        if used_time and not self._is_time_for_a_shard(deadline):
            return self._defer(stored, stored.offset)
        try:
            run = self._run_document if is_document else self._run_shards
            return run(stored, deadline, used_time=used_time)
        except EmbeddingError as error:
            failure = Failure.of(error, stored.uri, stored.origin, transient=isinstance(error, Backend))
            return settle([failure], self._destination)
        except Exception as error:  # noqa: BLE001 - a store can fail in any way, and succeed the next time
            return [_unfinished(stored, f"{stored.uri} could not be read: {type(error).__name__}")]

    def _run_document(self, stored: StoredObject, deadline: float, *, used_time: bool) -> list[Failure]:
        failures = self._documents.run(stored, deadline)
        # In an invocation of its own it has more time. Without an earlier message it would have no more, and is retried.
        return self._defer(stored, 0) if failures and used_time and time.monotonic() > deadline else failures

    def _run_shards(self, stored: StoredObject, deadline: float, *, used_time: bool) -> list[Failure]:
        for lines in shards(self._objects.lines(stored)):
            start, stop = lines[0].start, lines[-1].stop
            name = f"{stored.bucket}/{stored.key}/{_version_or_etag(stored)}/{start:015}-{stop:015}"
            started = time.monotonic()
            # Without progress the object is retried: deferring it would loop for ever.
            made_progress = used_time or start > stored.offset
            if made_progress and not self._is_time_for_a_shard(deadline):
                return self._defer(stored, start)
            if isinstance(self._sink, ShardSink) and self._sink.find_receipt(name) is not None:
                continue
            failures = self._run_shard(name, lines, deadline)
            if failures and time.monotonic() > deadline and made_progress:
                return self._defer(stored, start)
            if failures:
                return [_unfinished(stored, f"{stored.uri} is not done from byte {start}: {failures[0].error}")]
            self._longest_shard = max(self._longest_shard, time.monotonic() - started)
        return []

    def _run_shard(self, name: str, lines: Sequence[ObjectLine], deadline: float) -> list[Failure]:
        """Embed a shard's lines, settle the failures, then write the results; return the failures to retry.

        Nothing is written while a failure must be retried, so every existing shard is complete.
        """
        outcomes = embed_contents(self._service, [line.content for line in lines], deadline, self._chunking)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if any(failure.transient for failure in failures):
            return failures
        if to_retry := settle(failures, self._destination):
            return to_retry
        if isinstance(self._sink, ShardSink):
            # A shard without results is written as well: because of its receipt, these lines are not embedded again.
            written = self._sink.write_shard(flatten(outcomes), name)
            return written if isinstance(written, list) else []
        return settle(write_outcomes(self._sink, outcomes, is_split=self._chunking.tokens > 0), self._destination)

    def _is_time_for_a_shard(self, deadline: float) -> bool:
        return time.monotonic() + SPARE * self._longest_shard <= deadline

    def _defer(self, stored: StoredObject, offset: int) -> list[Failure]:
        """Send the rest of an object to the continuation queue; return a failure if the queue does not take it."""
        if self._objects.defer(stored, offset):
            return []
        return [_unfinished(stored, f"the time ran out at byte {offset} of {stored.uri}, and the rest could not be deferred")]


def shards(lines: Iterable[ObjectLine]) -> Iterator[list[ObjectLine]]:
    """Divide lines into shards. Their ends depend only on the lines, so a retry makes the same shards."""
    shard: list[ObjectLine] = []
    size = 0
    for line in lines:
        shard.append(line)
        size += line.stop - line.start
        if len(shard) == SHARD_RECORDS or size >= SHARD_BYTES:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard


def _unfinished(stored: StoredObject, sentence: str) -> Failure:
    return Failure.of(Unfinished(sentence), stored.uri, stored.origin, transient=True)


def _version_or_etag(stored: StoredObject) -> str:
    """Return the version or the ETag, which distinguishes the states that an object had under the same key."""
    return stored.version or (stored.etag or "any").strip('"')
