"""Documents in S3: the sink comes to hold the chunks of the object's last state, whatever order its events arrive in."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.chunking import WHOLE, Chunking
from handler.errors import Backend
from handler.pipeline.document_objects import is_as_late
from handler.pipeline.pipeline import Pipeline
from handler.pipeline.ports import ObjectStore, Sink, WholeObject
from handler.records import Failure, Origin, Record, StoredObject
from handler.vectors import NEVER
from tests.handler.document_runs import CHUNKING, LINES, Killed, Lines, run, text_of
from tests.handler.fake_objects import Queue, record
from tests.pipelines.fakes import FakeService, Kept, MemoryDocuments

KEY = "guide.md"


@dataclass
class Bucket:
    """A bucket with one object, which S3 reports by events. `text` is its text, or None if it does not exist."""

    text: str | None = None
    changes: int = 0
    events: list[StoredObject] = field(default_factory=list)
    reads: int = 0
    while_reading: Callable[[], None] = lambda: None

    def put(self, text: str | None) -> None:
        """Change the object, and report it."""
        self.text = text
        self.changes += 1
        origin = Origin(self.changes)
        self.events.append(StoredObject("bucket", KEY, None, None, 0, origin, text is None, f"{self.changes:08X}"))

    def etag(self, _: StoredObject) -> str | None:
        return None if self.text is None else f'"{self.changes}"'

    def read(self, stored: StoredObject) -> WholeObject:
        self.reads += 1
        text, etag = self.text, self.etag(stored)
        self.while_reading()
        if text is None:
            return WholeObject(None, None)
        return WholeObject(etag, Record(KEY, text, origin=stored.origin, sequencer=stored.sequencer) if text.strip() else None)

    @property
    def objects(self) -> ObjectStore:
        return replace(Queue().objects, is_document=lambda _: True, read_whole=self.read, find_etag=self.etag)


def handle(bucket: Bucket, sink: Sink, event: StoredObject, kept: Kept | None = None, chunking: Chunking = CHUNKING) -> bool:
    """Handle an event; return False if it must be retried."""
    return not Pipeline(LINES, sink, kept, bucket.objects, chunking).run([event], NEVER)


def expected(bucket: Bucket) -> dict[str, str]:
    """Return the texts of the chunks that the sink must have."""
    sink = MemoryDocuments()
    if bucket.text:
        run([record(KEY, bucket.text)], sink, LINES)
    return sink.texts


ACTIONS = st.lists(st.tuples(st.sampled_from([None, "", 1, 2, 5]), st.integers(0, 30)), min_size=1, max_size=6)


@settings(max_examples=int(os.environ.get("SPLIT_TEXTS", "300")))
@given(ACTIONS, st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_events_in_any_order_and_repeated_bring_the_sink_to_the_current_state(
    actions: list[tuple[int | str | None, int]], order: list[int], repeats: list[int]
) -> None:
    """Attempts are killed after some changes, and retried after later events."""
    bucket, sink = Bucket(), MemoryDocuments()
    for number, (size, _) in enumerate(actions):
        bucket.put(text_of(size, f"v{number}x") if isinstance(size, int) else size)
    retries = []
    for place in [*order, *repeats]:
        if place < len(actions):
            changes = iter(range(actions[place][1]))

            def before(_: str, changes: object = changes) -> None:
                if next(changes, None) is None:  # type: ignore[call-overload]
                    raise Killed

            sink.before = before
            try:
                assert handle(bucket, sink, bucket.events[place])
            except Killed:
                retries.append(bucket.events[place])
    sink.before = lambda _: None
    for event in retries:
        assert handle(bucket, sink, event)
    assert sink.texts == expected(bucket)


@settings(max_examples=int(os.environ.get("SPLIT_TEXTS", "300")))
@given(st.sampled_from([None, 1, 3, 6]), st.sampled_from([None, 1, 3, 6]), st.integers(0, 15), st.booleans())
def test_a_function_that_wrote_an_older_state_over_a_newer_one_repairs_it(
    older: int | None,
    newer: int | None,
    changes: int,
    is_killed: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    """While the first function writes, another one handles a change of the object. Then the first one goes on, or is killed."""
    bucket, sink = Bucket(), MemoryDocuments()
    bucket.put(text_of(4, "before"))
    assert handle(bucket, sink, bucket.events[0])
    bucket.put(text_of(older, "older") if older else None)
    countdown = iter(range(changes))
    state = {"happened": False}

    def before(_: str) -> None:
        if next(countdown, None) is None and not state["happened"]:
            state["happened"] = True
            bucket.put(text_of(newer, "newer") if newer else None)
            assert handle(bucket, sink, bucket.events[2])
            state["changes"] = True
        elif state["happened"] and is_killed and state.pop("changes", None) is None:
            raise Killed

    sink.before = before
    try:
        assert handle(bucket, sink, bucket.events[1])
    except Killed:
        sink.before = lambda _: None
        assert handle(bucket, sink, bucket.events[1])
    sink.before = lambda _: None
    assert sink.texts == expected(bucket)


def test_an_event_that_the_sink_already_has_costs_no_embedding() -> None:
    """So a repeat, and an older event that comes late, are cheap."""
    bucket, sink = Bucket(), MemoryDocuments()
    bucket.put(text_of(3, "old"))
    bucket.put(text_of(2, "new"))
    assert handle(bucket, sink, bucket.events[1])
    assert (bucket.reads, len(sink.texts)) == (1, 2)
    assert handle(bucket, sink, bucket.events[1])
    assert handle(bucket, sink, bucket.events[0])
    assert bucket.reads == 1
    del sink.vectors[f"{KEY}#1"]
    assert handle(bucket, sink, bucket.events[0])
    assert (bucket.reads, sink.texts) == (2, expected(bucket))


def test_an_object_that_always_changes_is_retried_later() -> None:
    """The function does not embed for ever."""
    bucket = Bucket()
    bucket.put("text")
    bucket.while_reading = lambda: bucket.put(f"text {bucket.changes}")
    assert not handle(bucket, MemoryDocuments(), bucket.events[0])


def test_a_document_for_which_earlier_messages_left_too_little_time_is_deferred() -> None:
    """A retry would count as one of the few attempts that its queue makes. Alone in its event, the document is retried."""
    bucket, queue = Bucket(text_of(3)), Queue()
    objects = replace(bucket.objects, defer=queue.defer)
    pipeline = Pipeline(Lines(seconds=0.3), MemoryDocuments(), None, objects, CHUNKING)
    stored = StoredObject("bucket", KEY, origin=Origin("m"))
    assert pipeline.run([record("a"), stored], time.monotonic() + 0.5) == []
    assert queue.sent == [0]
    assert [failure.transient for failure in pipeline.run([stored], time.monotonic() - 1)] == [True]
    assert queue.sent == [0]


def test_a_document_without_splitting_is_one_vector_under_its_key() -> None:
    """It is deleted with its object."""
    bucket, sink = Bucket(), MemoryDocuments()
    bucket.put(text_of(2))
    assert handle(bucket, sink, bucket.events[0], chunking=WHOLE)
    assert list(sink.texts) == [KEY]
    bucket.put(None)
    assert handle(bucket, sink, bucket.events[1], chunking=WHOLE)
    assert sink.texts == {}


def test_a_document_that_cannot_be_read_is_recorded() -> None:
    """The reason is permanent, so S3 need not deliver the event again."""
    failure = Failure(KEY, "The document is not UTF-8", "Validation", transient=False, origin=Origin(1))
    bucket, kept = Bucket("x"), Kept()
    objects = replace(bucket.objects, read_whole=lambda _: WholeObject('"0"', failure))
    pipeline = Pipeline(FakeService(), MemoryDocuments(), kept, objects, CHUNKING)
    assert pipeline.run([StoredObject("bucket", KEY)], NEVER) == []
    assert kept.reasons == {KEY: "The document is not UTF-8"}


def test_a_document_that_s3_does_not_return_for_now_is_retried() -> None:
    """For example, while it changes."""

    def fail(_: StoredObject) -> WholeObject:
        raise Backend("busy")  # noqa: EM101 - the sentence does not matter

    pipeline = Pipeline(FakeService(), MemoryDocuments(), Kept(), replace(Bucket("x").objects, read_whole=fail), CHUNKING)
    assert [failure.transient for failure in pipeline.run([StoredObject("bucket", KEY)], NEVER)] == [True]


def test_a_deleted_object_of_records_is_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    """The ids of its records are not known any more."""
    deleted = StoredObject("documents", "in/a.jsonl", is_deleted=True)
    assert Pipeline(FakeService(), MemoryDocuments(), None, Queue(lines=3).objects).run([deleted], NEVER) == []
    assert "deleted_object_skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("known", "other", "is_late"),
    [("0055AED6DCD90281E5", "0055AED6DCD90281E4", True), ("0A", "0a", True), ("0A", "0B", False), ("0A", "00A", False)],
)
def test_sequencers_of_one_length_are_compared(known: str, other: str, is_late: bool) -> None:  # noqa: FBT001 - a case
    """Of different lengths, the later one is not certain."""
    assert is_as_late(known, other) == is_late
