"""The one way of a pipeline: contents of messages in, vectors to a sink, and back what is to be tried again.

Law: knows no source, no sink and no AWS: they are handed in. Nothing is lost: whatever was read is written, kept by the failure
destination, or given back.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

from handler import telemetry
from handler.embedding.encoder import NEVER, Vectors
from handler.errors import Backend, EmbeddingError, Internal, TooLarge, Unembeddable, Unfinished
from handler.records import Content, Failure, Gone, Origin, Record, Result, StoredObject
from handler.service import Embeddings, Options, Service

FIRST_CALL, LEAST_CALL, MOST_CALL = 64, 8, 512
"""Texts of one call of the service: the first, then as many as take CALL_SECONDS. What a deadline interrupts is one call."""
CALL_SECONDS = 1.0
RECORDS = 1000
"""Written together, and of one shard of an object."""
SHARD_BYTES = 4_000_000
"""A shard of an object ends where its lines pass so many bytes: with RECORDS, all that is held of the object at a time."""
SPARE = 1.5
"""A shard is begun where this many times the longest one so far is left."""


class Sink(Protocol):
    """Where finished vectors go."""

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write `results`; returns a failure for each that was not written, and never raises on their account."""
        ...


@runtime_checkable
class Erasable(Protocol):
    """A sink from which vectors can be deleted again."""

    def delete(self, gone: Sequence[Gone]) -> list[Failure]:
        """Delete their vectors; one that is not there is deleted. Returns a failure for each that was not, and never raises."""
        ...


@runtime_checkable
class Shards(Protocol):
    """A sink of whole files: one that is there need not be made again."""

    def receipt(self, name: str) -> object:
        """What tells a shard that is there; None if it is not. Raises anything where that is not known."""
        ...

    def write_shard(self, results: Sequence[Result], name: str) -> object:
        """Write one, also of no results; a list of failures if that fails."""
        ...


class FailureDestination(Protocol):
    """Where records go that can never be embedded."""

    def write(self, failures: Sequence[tuple[Failure, object]]) -> list[Failure]:
        """Write each with its original, and tell what was not written. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A record of an object, or why it is none, and the bytes it takes there."""

    start: int
    stop: int
    content: Record | Failure


@dataclass(frozen=True, slots=True)
class Objects:
    """How objects are read, and how what is left of one is put off.

    `lines` reads from the object's offset on. `put_off` sends the rest to the continuation queue and tells whether it was taken.
    `is_output` tells what this pipeline wrote itself.
    """

    lines: Callable[[StoredObject], Iterator[Line]]
    put_off: Callable[[StoredObject, int], bool]
    is_output: Callable[[StoredObject], bool]


def embedded(service: Service, records: Sequence[Record], deadline: float = NEVER) -> list[Result | Failure]:
    """A result or a failure for each record, in their order.

    Records with the same options are embedded together. One that fails takes no other with it. `deadline` is the reading of
    time.monotonic() after which nothing is begun: what is left then are transient failures.
    """
    by_options: dict[Options, list[int]] = {}
    for place, record in enumerate(records):
        by_options.setdefault(record.options, []).append(place)
    found: dict[int, Result | Failure] = {}
    calling = FIRST_CALL
    for places in by_options.values():
        begun = 0
        while begun < len(places):
            part = places[begun : begun + calling]
            started = time.monotonic()
            found.update(zip(part, _called(service, [records[place] for place in part], deadline), strict=True))
            seconds = time.monotonic() - started
            begun += len(part)
            calling = min(MOST_CALL, max(LEAST_CALL, int(len(part) * CALL_SECONDS / max(seconds, 1e-3))))
    return [found[place] for place in range(len(records))]


def _called(service: Service, records: Sequence[Record], deadline: float) -> list[Result | Failure]:
    """One call of the service. Where it fails, each half has its own, so that a bad text ends up alone."""
    made: Embeddings[Vectors] | None = None
    try:
        if time.monotonic() > deadline:
            raise TooLarge  # noqa: TRY301 - as the service would
        made = service.embed([record.text for record in records], records[0].options, deadline)
    except TooLarge:
        return _all_fail(records, Unfinished("the time ran out"))
    except EmbeddingError as error:
        if isinstance(error, Backend) and not isinstance(error, Unembeddable):
            return _all_fail(records, error)  # the deployment's failure, whatever the text
        if len(records) == 1:
            return [Failure.of(error, records[0].id, records[0].origin)]
    except Exception as error:  # noqa: BLE001 - one record's surprise must not be every record's
        if len(records) == 1:
            return _all_fail(records, Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}"))
    if made is None:
        half = len(records) // 2
        return _called(service, records[:half], deadline) + _called(service, records[half:], deadline)
    return [
        Result(record, vector, tokens, cut)
        for record, vector, tokens, cut in zip(records, made.vectors, made.tokens_each, made.cut, strict=True)
    ]


def _all_fail(records: Sequence[Record], error: EmbeddingError) -> list[Result | Failure]:
    return [Failure.of(error, record.id, record.origin, transient=True) for record in records]


class Pipeline:
    """A service, a sink and a failure destination at work."""

    def __init__(self, service: Service, sink: Sink, destination: FailureDestination | None, objects: Objects) -> None:
        """Join them. Without a failure destination, what can never be embedded is given back like the rest."""
        self._service = service
        self._sink = sink
        self._destination = destination
        self._objects = objects
        self._longest_shard = 0.0

    def run(self, contents: Iterable[Content], deadline: float) -> list[Failure]:
        """Embed and write everything that the time allows; returns what is to be tried again."""
        back: list[Failure] = []
        closed: set[str] = set()
        waiting: list[Content] = []
        for place, content in enumerate(contents):
            if isinstance(content, StoredObject):
                back += self._written(waiting, deadline, closed)
                waiting = []
                # Something before it: then it has not had all of the time. What is in a group is not to be overtaken.
                done = len(back) < place and content.origin.group is None
                back += self._turn([content], closed, partial(self._object, deadline, done))
            else:
                waiting.append(content)
                if len(waiting) == RECORDS:
                    back += self._written(waiting, deadline, closed)
                    waiting = []
        return back + self._written(waiting, deadline, closed)

    def settled(self, failures: Iterable[Failure]) -> list[Failure]:
        """Hand what can never succeed to the failure destination; returns what is to be tried again."""
        failures = list(failures)
        permanent = [failure for failure in failures if not failure.transient]
        if self._destination is None or not permanent:
            return failures
        unwritten = self._destination.write([(failure, failure.origin.original) for failure in permanent])
        return [failure for failure in failures if failure.transient] + unwritten

    def _written(self, contents: Sequence[Content], deadline: float, closed: set[str]) -> list[Failure]:
        """Embed together, then write: everything at once, but of each group one message after the other."""
        records = [content for content in contents if isinstance(content, Record)]
        made = iter(embedded(self._service, records, deadline))
        outcomes = [next(made) if isinstance(content, Record) else content for content in contents]
        back: list[Failure] = []
        for wave in _waves(outcomes):
            back += self._turn(wave, closed, self._wave)
        return back

    def _wave(self, outcomes: Sequence[Result | Content]) -> list[Failure]:
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if results:
            failures += self._sink.write(results)
        if isinstance(self._sink, Erasable) and (gone := _gone(outcomes)):
            failures += self._sink.delete(gone)
        return self.settled(failures)

    @staticmethod
    def _turn[T: Result | Content](
        outcomes: Sequence[T], closed: set[str], write: Callable[[Sequence[T]], list[Failure]]
    ) -> list[Failure]:
        """Write what no failure before it in its group keeps back; a group where something is left over is closed."""
        back = [
            Failure.of(Unfinished("a message before it in its group was not done"), _id(outcome), _origin(outcome), transient=True)
            for outcome in outcomes
            if _origin(outcome).group in closed
        ]
        if writable := [outcome for outcome in outcomes if _origin(outcome).group not in closed]:
            back += write(writable)
        closed.update(failure.origin.group for failure in back if failure.origin.group is not None)
        return back

    def _object(self, deadline: float, done: bool, contents: Sequence[StoredObject]) -> list[Failure]:  # noqa: FBT001 - for partial
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
            return self._shards(stored, deadline, done)
        except EmbeddingError as error:
            return self.settled([Failure.of(error, stored.uri, stored.origin, transient=isinstance(error, Backend))])
        except Exception as error:  # noqa: BLE001 - a store can fail in any way, and may not the next time
            reason = Unfinished(f"{stored.uri} could not be read: {type(error).__name__}")
            return [Failure.of(reason, stored.uri, stored.origin, transient=True)]

    def _shards(self, stored: StoredObject, deadline: float, done: bool) -> list[Failure]:  # noqa: FBT001 - as above
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
        if any(failure.transient for failure in left) or (left := self.settled(left)):
            return left
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        if isinstance(self._sink, Shards):
            # Also of no results: what is there is not read again.
            written = self._sink.write_shard(results, name)
            return written if isinstance(written, list) else []
        return self.settled(self._sink.write(results)) if results else []

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
        if len(part) == RECORDS or size >= SHARD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _state(stored: StoredObject) -> str:
    """What tells one state of an object from another under the same key."""
    return stored.version or (stored.etag or "any").strip('"')


def _waves[T: Result | Content](outcomes: Iterable[T]) -> Iterator[list[T]]:
    """The first of each group, then the second of each: written so, nothing overtakes. What has no group is in the first."""
    waves: list[list[T]] = []
    seen: Counter[str] = Counter()
    for outcome in outcomes:
        group = _origin(outcome).group
        turn = 0 if group is None else seen[group]
        if group is not None:
            seen[group] += 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(outcome)
    return iter(waves)


def _gone(outcomes: Iterable[Result | Content]) -> list[Gone]:
    """What is gone in the end: not what has a vector again after that."""
    last = {_id(outcome): outcome for outcome in outcomes if isinstance(outcome, Result | Gone)}
    return [outcome for outcome in last.values() if isinstance(outcome, Gone)]


def _origin(outcome: Result | Content) -> Origin:
    return outcome.record.origin if isinstance(outcome, Result) else outcome.origin


def _id(outcome: Result | Content) -> str:
    match outcome:
        case Result():
            return outcome.record.id
        case StoredObject():
            return outcome.uri
        case _:
            return outcome.id
