"""Long texts become chunks in a sink, and only the chunks of their last version."""

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.chunking import WHOLE, Chunk, Chunking, ChunkOptions
from handler.errors import Backend
from handler.pipeline.batching import embed_contents
from handler.pipeline.document_objects import is_as_late
from handler.pipeline.pipeline import Pipeline
from handler.pipeline.ports import ObjectStore, Sink, WholeObject
from handler.pipeline.writing import WINDOW
from handler.records import Deleted, DocumentResult, Failure, Origin, Outcome, Record, StoredObject
from handler.service import Options
from handler.sources.record_parsing import parse_record
from handler.vectors import NEVER
from tests.handler.fake_objects import Queue, record
from tests.pipelines.fakes import FakeService, Kept, Memory, MemoryDocuments, choking_on

CHUNKING = Chunking(32)
SPLIT = replace(CHUNKING, keeps_text=True)


def words(count: int, word: str = "word") -> str:
    """Return a text of this many words; each 32 of them are a chunk."""
    return " ".join(f"{word}{number}" for number in range(count))


def text_of(chunks: int, version: str = "v") -> str:
    """Return a text of which Lines makes this many chunks."""
    return "\n".join(f"{version} {number}" for number in range(chunks))


class Lines(FakeService):
    """A service for which each line is a chunk, so that many examples take little time."""

    def chunks_of(self, text: str, options: Options, chunking: Chunking, deadline: float = NEVER) -> list[Chunk]:
        del options, chunking, deadline
        return [Chunk(*match.span()) for match in re.finditer(".+", text)]


LINES = Lines()
"""One for all tests: to make one takes longer than an example."""


def only(outcomes: Sequence[Outcome]) -> DocumentResult:
    """Return the only outcome, which is a document."""
    (outcome,) = outcomes
    assert isinstance(outcome, DocumentResult)
    return outcome


def run(
    contents: Sequence[Record | Deleted], sink: Sink, service: FakeService | None = None, kept: Kept | None = None
) -> list[str]:
    """Run contents through a pipeline that splits texts; return the ids of the failures to retry."""
    failures = Pipeline(service or FakeService(), sink, kept, Queue().objects, CHUNKING).run(contents, NEVER)
    return [failure.id for failure in failures]


def test_each_chunk_is_a_result_with_its_range() -> None:
    """Chunk 0 has the number of chunks."""
    text = words(70)
    document = only(embed_contents(FakeService(), [replace(record("a", text), metadata={"lang": "en"})], chunking=SPLIT))
    assert [result.record.id for result in document.results] == ["a#0", "a#1", "a#2"]
    for number, result in enumerate(document.results):
        metadata = dict(result.record.metadata)
        assert text[metadata["start"] : metadata["end"]] == result.record.text == metadata["text"]
        assert (metadata["document"], metadata["chunk"], metadata["lang"]) == ("a", number, "en")
        assert metadata.get("chunks") == (3 if number == 0 else None)


def test_a_record_can_have_options_of_its_own() -> None:
    """Without splitting in the deployment, only the record that asks for it is split."""
    long = words(64)
    asking = parse_record(
        {"id": "a", "inputs": long, "chunk_tokens": 32, "chunk_overlap": "8", "chunk_text": "true"}, "", Origin(0), "inputs"
    )
    assert isinstance(asking, Record)
    assert asking.metadata == {}
    split, whole = embed_contents(FakeService(), [asking, record("b", long)])
    assert isinstance(split, DocumentResult)
    assert [result.record.metadata["start"] for result in split.results][1] < split.results[0].record.metadata["end"]
    assert not isinstance(whole, DocumentResult)


def test_a_record_that_wants_no_splitting_is_one_chunk_where_others_are_split() -> None:
    """So its id is never the id of another record's chunk."""
    refusing = replace(record("a#0", words(64)), chunk_options=ChunkOptions(tokens=0))
    document = only(embed_contents(FakeService(), [refusing], chunking=CHUNKING))
    assert [result.record.id for result in document.results] == ["a#0#0"]
    assert document.results[0].record.text == words(64)


@given(st.lists(st.text("a#01", min_size=1, max_size=5), unique=True, max_size=8))
def test_no_two_records_have_a_chunk_of_the_same_id(names: list[str]) -> None:
    """Ids may have `#` and digits at any place."""
    outcomes = embed_contents(LINES, [record(name, text_of(3)) for name in names], chunking=CHUNKING)
    ids = [result.record.id for outcome in outcomes if isinstance(outcome, DocumentResult) for result in outcome.results]
    assert len(set(ids)) == len(ids) == 3 * len(names)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"chunk_tokens": 31}, "`chunk_tokens` must be at least 32, or 0 for no splitting. Given: 31"),
        ({"chunk_tokens": 32, "chunk_overlap": 17}, "`chunk_overlap` must be from 0 to half of `chunk_tokens`. Given: 17"),
        ({"chunk_tokens": -1}, "`chunk_tokens` must be at least 32, or 0 for no splitting. Given: -1"),
        ({"chunk_tokens": "many"}, "`chunk_tokens` must be a whole number. Given: 'many'"),
        ({"chunk_text": 1}, "`chunk_text` must be true or false. Given: 1"),
        ({"document": "b"}, "`document` is a field that chunks add to the metadata: give the record's own field another name"),
        (
            {"text": "b", "chunk_text": True},
            "`text` is a field that chunks add to the metadata: give the record's own field another name",
        ),
    ],
)
def test_options_that_cannot_be_used_are_refused(fields: dict[str, object], sentence: str) -> None:
    """The failure is permanent."""
    parsed = parse_record({"id": "a", "inputs": "Text.", **fields}, "", Origin(0), "inputs")
    (failure,) = embed_contents(FakeService(), [parsed], chunking=CHUNKING)
    assert isinstance(failure, Failure)
    assert (failure.error, failure.transient) == (sentence, False)


def test_a_document_fails_as_a_whole() -> None:
    """Its other chunks are not written, other documents are, and the failure has the document's id and the chunk's number."""
    sink, kept = MemoryDocuments(), Kept()
    bad = f"{words(32)} {words(30)} bad"
    assert run([record("a", bad), record("b", words(40))], sink, FakeService(failing=choking_on("bad")), kept) == []
    assert kept.reasons == {"a": "no vector (chunk 1)"}
    assert sink.texts.keys() == {"b#0", "b#1"}


def test_a_document_of_which_the_sink_refuses_a_chunk_is_retried_as_a_whole() -> None:
    """Chunk 0 is not written before the others are."""
    sink = MemoryDocuments(refused=["a#1"])
    assert run([record("a", words(96)), record("b")], sink) == ["a"]
    assert sink.texts.keys() == {"a#2", "b#0"}
    sink.refused = ()
    assert run([record("a", words(96))], sink) == []
    assert sink.texts.keys() == {"a#0", "a#1", "a#2", "b#0"}


def test_nothing_remains_of_a_document_of_which_a_chunk_is_refused_for_good() -> None:
    """Half of it would be found by a search, and nobody would see that the rest is missing."""
    sink, kept = MemoryDocuments(), Kept()
    assert run([record("a", text_of(5)), record("b", text_of(2))], sink, LINES) == []
    sink.refused, sink.transient = ["a#2"], False
    assert run([record("a", text_of(4, "new")), record("b", text_of(1))], sink, LINES, kept) == []
    assert sink.texts.keys() == {"b#0"}
    assert kept.reasons == {"a": "throttled (chunk 2)"}


def test_a_sink_without_deletion_gets_the_chunks_as_ordinary_results() -> None:
    """A queue, for example, gets one message for each."""
    sink = Memory(refused=["word33"])
    assert run([record("a", words(70)), record("b")], sink) == ["a"]
    assert sink.ids == ["a#0", "a#2", "b#0"]


def test_if_the_sink_does_not_say_what_it_has_the_document_is_retried() -> None:
    """Otherwise chunks of an older version could remain for ever."""
    sink = MemoryDocuments()

    def fail(_: Sequence[str]) -> dict[str, dict[str, object]]:
        raise ConnectionError

    sink.read_metadata = fail  # type: ignore[method-assign, assignment]
    assert run([record("a", words(70)), Deleted("b", "deleted")], sink) == ["a", "b"]
    assert sink.texts == {}


def test_a_shorter_version_deletes_the_chunks_that_it_does_not_have() -> None:
    """A deleted record deletes all of them. Neighbours with similar ids stay."""
    sink = MemoryDocuments()
    neighbours = [record("a#0", text_of(2)), record("a#1"), record("aa", text_of(2))]
    assert run([record("a", text_of(5)), *neighbours], sink, LINES) == []
    assert run([record("a", text_of(2, "new"))], sink, LINES) == []
    others = {"a#0#0", "a#0#1", "a#1#0", "aa#0", "aa#1"}
    assert sink.texts.keys() == {"a#0", "a#1", *others}
    assert all(text.startswith("new") for name, text in sink.texts.items() if name in {"a#0", "a#1"})
    assert run([Deleted("a", "deleted"), Deleted("b", "deleted")], sink, LINES) == []
    assert sink.texts.keys() == others


def test_of_two_versions_in_one_event_the_later_one_remains() -> None:
    """The longer first version leaves nothing."""
    sink = MemoryDocuments()
    assert run([record("a", text_of(4)), record("a", text_of(1, "new"))], sink, LINES) == []
    assert sink.texts == {"a#0": text_of(1, "new")}


class Killed(BaseException):
    """The function was killed."""


VERSIONS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12)), min_size=1, max_size=6)
"""Versions of a document: the number of its chunks, or 0 if it is deleted; and the changes after which an attempt is killed."""


@given(VERSIONS)
def test_attempts_that_are_killed_leave_no_chunk_behind(versions: list[tuple[int, int]]) -> None:
    """Each version is attempted once and killed, and only the last one is retried: the sink then has its chunks and no others."""
    sink = MemoryDocuments()
    for number, (chunks, kill_after) in enumerate(versions):
        content = record("a", text_of(chunks, f"v{number}x")) if chunks else Deleted("a", "deleted")
        changes = iter(range(kill_after))

        def before(_: str, changes: object = changes) -> None:
            if next(changes, None) is None:  # type: ignore[call-overload]
                raise Killed

        sink.before = before
        with suppress(Killed):
            run([content], sink, LINES)
    sink.before = lambda _: None
    assert run([content], sink, LINES) == []
    assert sorted(sink.texts) == [f"a#{number}" for number in range(chunks)]
    assert all(text.startswith(f"v{number}x") for text in sink.texts.values())


def test_more_chunks_than_a_window_are_found_behind_the_counted_ones() -> None:
    """An attempt wrote them, and was killed before it wrote chunk 0."""
    sink = MemoryDocuments()
    run([record("a", text_of(2 * WINDOW + 20))], sink, LINES)
    del sink.vectors["a#0"]
    assert run([record("a", text_of(1))], sink, LINES) == []
    assert list(sink.texts) == ["a#0"]


# --- Documents in S3 --------------------------------------------------------------------------------------

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
