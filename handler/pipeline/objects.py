"""An object's lines to vectors, shard by shard: what of it the time does not allow is put off."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from handler import telemetry
from handler.errors import Backend, EmbeddingError, Unfinished
from handler.pipeline.batching import embedded
from handler.pipeline.ports import Line, Objects, Shards, Sink
from handler.records import Failure, Record, Result, StoredObject
from handler.service import Service

SHARD_RECORDS, SHARD_BYTES = 1000, 4_000_000
"""A shard ends where it has so many lines, or its lines so many bytes: that much of an object is held at a time."""
SPARE = 1.5
"""A shard is begun where this many times the longest one so far is left."""

type Settle = Callable[[Iterable[Failure]], list[Failure]]
"""Hands what can never succeed to the failure destination; returns what is to be tried again."""


class ObjectPipeline:
    """Embeds objects. It remembers how long a shard takes."""

    def __init__(self, service: Service, sink: Sink, settled: Settle, objects: Objects) -> None:
        """Join them."""
        self._service = service
        self._sink = sink
        self._settled = settled
        self._objects = objects
        self._longest_shard = 0.0

    def embed(self, contents: Sequence[StoredObject], deadline: float, *, done: bool) -> list[Failure]:
        """Embed an object shard by shard; what the time does not allow is put off. Only a whole failure gives it back.

        `done` tells whether something before it in its event was: an object that the others left no time for is put off whole.
        To give it back would count as one of the few times that its queue tries it.
        """
        (stored,) = contents
        if self._objects.is_output(stored):
            telemetry.log("own_object_skipped", uri=stored.uri)
            return []
        if done and time.monotonic() + SPARE * self._longest_shard > deadline:
            return self._rest(stored, stored.offset)
        try:
            return self._embed(stored, deadline, done=done)
        except EmbeddingError as error:
            return self._settled([Failure.of(error, stored.uri, stored.origin, transient=isinstance(error, Backend))])
        except Exception as error:  # noqa: BLE001 - a store can fail in any way, and may not the next time
            reason = Unfinished(f"{stored.uri} could not be read: {type(error).__name__}")
            return [Failure.of(reason, stored.uri, stored.origin, transient=True)]

    def _embed(self, stored: StoredObject, deadline: float, *, done: bool) -> list[Failure]:
        for lines in shards(self._objects.lines(stored)):
            start, stop = lines[0].start, lines[-1].stop
            name = f"{stored.bucket}/{stored.key}/{_state(stored)}/{start:015}-{stop:015}"
            started = time.monotonic()
            progress = done or start > stored.offset  # without any, to put it off would be to go round
            if progress and started + SPARE * self._longest_shard > deadline:
                return self._rest(stored, start)
            if isinstance(self._sink, Shards) and self._sink.receipt(name) is not None:
                continue
            failures = self._shard(name, [line.content for line in lines], deadline)
            if failures and time.monotonic() > deadline and progress:
                return self._rest(stored, start)
            if failures:
                reason = Unfinished(f"{stored.uri} is not done from byte {start}: {failures[0].error}")
                return [Failure.of(reason, stored.uri, stored.origin, transient=True)]
            self._longest_shard = max(self._longest_shard, time.monotonic() - started)
        return []

    def _shard(self, name: str, contents: Sequence[Record | Failure], deadline: float) -> list[Failure]:
        """What is left over of a shard. Failures are kept before the shard is written: one that is there is whole."""
        records = [content for content in contents if isinstance(content, Record)]
        made = iter(embedded(self._service, records, deadline))
        outcomes = [next(made) if isinstance(content, Record) else content for content in contents]
        left = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if any(failure.transient for failure in left) or (left := self._settled(left)):
            return left
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        if isinstance(self._sink, Shards):
            # Also of no results: what is there is not read again.
            written = self._sink.write_shard(results, name)
            return written if isinstance(written, list) else []
        return self._settled(self._sink.write(results)) if results else []

    def _rest(self, stored: StoredObject, offset: int) -> list[Failure]:
        if self._objects.put_off(stored, offset):
            return []
        reason = Unfinished(f"the time ran out at byte {offset} of {stored.uri}, and the rest could not be put off")
        return [Failure.of(reason, stored.uri, stored.origin, transient=True)]


def shards(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in parts whose borders depend on nothing but the lines, so that a repeat has the same ones."""
    part: list[Line] = []
    size = 0
    for line in lines:
        part.append(line)
        size += line.stop - line.start
        if len(part) == SHARD_RECORDS or size >= SHARD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _state(stored: StoredObject) -> str:
    """What tells one state of an object from another under the same key."""
    return stored.version or (stored.etag or "any").strip('"')
