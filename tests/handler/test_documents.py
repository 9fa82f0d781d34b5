"""Long texts become chunks in a sink, and only the chunks of their last version."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chunking import ChunkOptions
from handler.pipeline.batching import embed_contents
from handler.pipeline.writing import WINDOW
from handler.records import Deleted, DocumentResult, Failure, Origin, Outcome, Record
from handler.sources.record_parsing import parse_record
from tests.handler.document_runs import CHUNKING, LINES, Killed, run, text_of
from tests.handler.fake_objects import record
from tests.pipelines.fakes import FakeService, Kept, Memory, MemoryDocuments, choking_on

SPLIT = replace(CHUNKING, keeps_text=True)


def words(count: int, word: str = "word") -> str:
    """Return a text of this many words; each 32 of them are a chunk."""
    return " ".join(f"{word}{number}" for number in range(count))


def only(outcomes: Sequence[Outcome]) -> DocumentResult:
    """Return the only outcome, which is a document."""
    (outcome,) = outcomes
    assert isinstance(outcome, DocumentResult)
    return outcome


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
