"""The way of records from an event to a sink: nothing that was read is lost, whatever fails."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from handler.errors import Validation
from handler.pipeline.batching import embed_contents
from handler.pipeline.objects import shards
from handler.pipeline.pipeline import BATCH_CONTENTS, Pipeline
from handler.pipeline.ports import ObjectLine, ObjectStore, Sink
from handler.records import Content, Deleted, Failure, Origin, Result, Skipped, StoredObject
from handler.service import Service
from tests.handler.fake_objects import Queue, record
from tests.pipelines.fakes import FakeService, Kept, Memory, MemoryIndex, MemoryShards, choking_on, vector_of, without_model

LATER = 3600.0
STORED = StoredObject("documents", "in/a.jsonl", etag="e", origin=Origin("m"))


def run(
    contents: Sequence[Content],
    sink: Sink,
    service: Service | None = None,
    destination: Kept | None = None,
    queue: Queue | None = None,
    seconds: float = LATER,
) -> list[tuple[object, str]]:
    """Run contents through a pipeline; return message and reason of the failures to retry."""
    pipeline = Pipeline(service or FakeService(), sink, destination, (queue or Queue()).objects)
    return [(failure.origin.message, failure.error) for failure in pipeline.run(contents, time.monotonic() + seconds)]


def test_every_record_has_its_own_vector_in_its_place() -> None:
    """Records have different options; those with the same options are embedded together."""
    service = FakeService()
    records = [record(str(number), dimensions=number % 3 or None) for number in range(100)]
    made = embed_contents(service, records)
    assert [outcome.record.id for outcome in made if isinstance(outcome, Result)] == [one.id for one in records]
    assert all((outcome.vector == vector_of(outcome.record.text)).all() for outcome in made if isinstance(outcome, Result))
    assert len(service.calls) == 3


def test_a_text_that_fails_takes_no_other_with_it() -> None:
    """The halves of a failing batch are embedded by themselves, until the bad text is alone."""
    bad = {13, 14, 200}
    records = [record(str(number), "bad" if number in bad else f"good {number}") for number in range(300)]
    made = embed_contents(FakeService(failing=choking_on("bad")), records)
    failed = {number for number, outcome in enumerate(made) if isinstance(outcome, Failure)}
    assert failed == bad
    assert not any(outcome.transient for outcome in made if isinstance(outcome, Failure))


def test_a_failure_of_the_deployment_is_transient() -> None:
    """Another attempt may find the model; an unforeseen exception may not happen again."""
    for failing in (without_model, lambda _: KeyError("surprise")):
        (failure,) = embed_contents(FakeService(failing=failing), [record("a")])
        assert isinstance(failure, Failure)
        assert failure.transient


def test_permanent_failures_are_recorded_with_reason_and_original_and_block_nobody() -> None:
    """The other records are written, and none is retried."""
    sink, kept = Memory(), Kept()
    contents: list[Content] = [
        record("a"),
        record("b", "bad"),
        record("c", prompt_name="none"),
        record("d"),
        Skipped("e", "deleted", Origin("e")),
    ]
    contents.append(Failure("f", "not JSON", "Validation", transient=False, origin=Origin("f", "{")))
    assert run(contents, sink, FakeService(failing=choking_on("bad")), kept) == []
    assert sink.ids == ["a", "d"]
    assert kept.reasons == {
        "f": "not JSON",
        "b": "no vector",
        "c": "`prompt_name` is not one of this model's prompts: none",
    }
    assert [original for _, original in kept.failures] == [{"body": "b"}, {"body": "c"}, "{"]


@pytest.mark.parametrize("kept", [None, Kept(broken=True)], ids=["none", "broken"])
def test_without_a_failure_destination_permanent_failures_are_retried(kept: Kept | None) -> None:
    """In the end they are in the dead-letter queue of their source."""
    sink = Memory()
    assert run([record("a"), record("b", "bad")], sink, FakeService(failing=choking_on("bad")), kept) == [("b", "no vector")]
    assert sink.ids == ["a"]


def test_without_a_failure_destination_the_types_of_the_failures_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The dead-letter queue of a source has the message, and no reason. A sentence may quote the record, so it is not logged."""
    run([record("a"), record("b", "bad"), record("c", "bad")], Memory(), FakeService(failing=choking_on("bad")))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "failures_not_recorded" in line]
    assert json.loads(line) == {"event": "failures_not_recorded", "failures": 2, "errors": "Backend"}


def test_a_record_whose_last_change_deletes_it_is_deleted_if_the_sink_can() -> None:
    """The last change of an id in an event counts. A sink that cannot delete ignores it."""
    sink = MemoryIndex()
    contents: list[Content] = [record("a"), Deleted("a", "deleted"), Deleted("b", "deleted"), record("b"), Deleted("c", "deleted")]
    assert run(contents, sink) == []
    assert (sink.ids, sink.deleted) == (["a", "b"], ["a", "c"])
    assert run(contents, Memory()) == []


def test_a_deletion_that_the_sink_refuses_for_now_is_retried() -> None:
    """It is treated like a result that was not written."""
    assert run([record("a"), Deleted("b", "deleted", Origin("b"))], MemoryIndex(refused=["b"])) == [("b", "throttled")]


def test_a_result_that_the_sink_refuses_for_now_is_retried() -> None:
    """The others of its batch are done."""
    sink = Memory(refused=["b"])
    assert run([record("a"), record("b", "text b"), record("c")], sink) == [("b", "throttled")]


def test_a_group_is_written_in_its_order_and_stops_at_its_first_failure() -> None:
    """Other groups go on. A permanent failure does not stop its group."""
    sink, kept = Memory(refused=["wait"]), Kept()
    contents: list[Content] = [
        record("a1", group="a"),
        record("b1", "bad", group="b"),
        record("a2", "wait", group="a"),
        record("b2", group="b"),
        record("a3", group="a"),
        Failure("a4", "not JSON", "Validation", transient=False, origin=Origin("a4", group="a")),
    ]
    to_retry = run(contents, sink, FakeService(failing=choking_on("bad")), kept)
    assert [message for message, _ in to_retry] == ["a2", "a3", "a4"]
    assert sink.ids == ["a1", "b2"]
    assert list(kept.reasons) == ["b1"]
    assert [len(write) for write in sink.writes] == [1, 1]


def test_records_without_groups_are_written_together() -> None:
    """There is one write for all of them."""
    sink = Memory()
    assert run([record(str(number)) for number in range(50)], sink) == []
    assert len(sink.writes) == 1


def test_when_the_time_is_over_finished_records_are_written_and_the_others_retried() -> None:
    """Every record is either written or retried."""
    sink = Memory()
    to_retry = run([record(str(number)) for number in range(2000)], sink, FakeService(seconds=0.002), seconds=1.5)  # all take 4 s
    assert 0 < len(sink.ids) < 2000
    assert {reason for _, reason in to_retry} == {"the time ran out"}
    assert sorted([*sink.ids, *(str(message) for message, _ in to_retry)]) == sorted(map(str, range(2000)))


def test_an_object_is_written_in_shards_named_by_its_bytes() -> None:
    """No line of it is lost, and no more than one shard is in memory."""
    sink = MemoryShards()
    assert run([STORED], sink, queue=Queue(lines=2 * BATCH_CONTENTS + 5)) == []
    assert [name.removeprefix("documents/in/a.jsonl/e/") for name in sink.files] == [
        "000000000000000-000000000010000",
        "000000000010000-000000000020000",
        "000000000020000-000000000020050",
    ]
    assert sink.ids == [f"line {number}" for number in range(2 * BATCH_CONTENTS + 5)]


def test_the_borders_of_shards_depend_on_the_lines_alone() -> None:
    """Reading that begins at a later shard finds the same borders."""
    lines = [ObjectLine(start, start + 1_500_000, record("a")) for start in range(0, 9_000_000, 1_500_000)]
    whole = [(part[0].start, part[-1].stop) for part in shards(lines)]
    assert whole == [(0, 4_500_000), (4_500_000, 9_000_000)]
    assert [(part[0].start, part[-1].stop) for part in shards(lines[3:])] == whole[1:]


def test_an_object_finishes_across_invocations_each_stopped_at_its_limit() -> None:
    """Each resumes where the one before stopped, and no shard is made twice. One that finished no shard is retried."""
    sink, queue, invocations = MemoryShards(), Queue(lines=5 * BATCH_CONTENTS), 0
    waiting = [STORED]
    while waiting:
        assert invocations < 50
        stored = waiting.pop()
        to_retry = run([stored], sink, FakeService(seconds=0.0001), queue=queue, seconds=0.8)
        waiting += (
            [stored] if to_retry else [StoredObject(STORED.bucket, STORED.key, etag="e", offset=offset) for offset in queue.sent]
        )
        queue.sent.clear()
        invocations += 1
    assert invocations > 1
    assert sink.ids == [f"line {number}" for number in range(5 * BATCH_CONTENTS)]
    assert sink.repeated == []


def test_a_repeat_of_an_object_makes_only_the_shards_that_are_not_there() -> None:
    """The function may be killed between two shards."""
    sink, service = MemoryShards(), FakeService()
    queue = Queue(lines=3 * BATCH_CONTENTS, broken_at=2 * BATCH_CONTENTS)
    assert run([STORED], sink, service, queue=queue) == [("m", "s3://documents/in/a.jsonl could not be read: ConnectionError")]
    assert len(sink.files) == 2
    before = len(service.calls)
    assert run([STORED], sink, service, queue=Queue(lines=3 * BATCH_CONTENTS)) == []
    assert len(sink.files) == 3
    assert sink.repeated == []
    assert sum(map(len, service.calls[before:])) == BATCH_CONTENTS


@pytest.mark.parametrize("queue", [Queue(works=False, lines=3 * BATCH_CONTENTS), Queue(works=False, lines=BATCH_CONTENTS)])
def test_an_object_whose_rest_cannot_be_deferred_is_retried(queue: Queue) -> None:
    """Its message returns to the queue, so that no line is lost."""
    ((message, _),) = run([STORED], MemoryShards(), FakeService(seconds=0.001), queue=queue, seconds=0.5)
    assert message == "m"


def test_an_object_without_any_progress_is_retried_and_not_deferred() -> None:
    """Deferring it would loop for ever; after some retries it is in the dead-letter queue."""
    queue = Queue(lines=BATCH_CONTENTS)
    ((message, reason),) = run([STORED], MemoryShards(), FakeService(seconds=0.01), queue=queue, seconds=0.1)
    assert (message, queue.sent) == ("m", [])
    assert reason == "s3://documents/in/a.jsonl is not done from byte 0: the time ran out"


def test_objects_for_which_earlier_ones_of_their_event_left_no_time_are_deferred_unread() -> None:
    """Retried, they would be in the dead letters before their turn comes: a queue retries a message only a few times."""
    queue, read = Queue(lines=BATCH_CONTENTS), []
    lines = queue.objects.lines

    def noting_lines(stored: StoredObject) -> Iterator[ObjectLine]:
        read.append(stored.key)
        return lines(stored)

    queue.objects = replace(queue.objects, lines=noting_lines)
    stored = [StoredObject("documents", f"in/{number}.jsonl", etag="e", origin=Origin(number)) for number in range(20)]
    sink = MemoryShards()
    assert run(stored, sink, FakeService(seconds=0.0003), queue=queue, seconds=3.0) == []  # ten times what a shard takes
    assert len(sink.files) + len(queue.sent) == 20
    assert len(queue.sent) >= 10
    assert len(read) <= len(sink.files) + 1


def test_objects_of_a_group_for_which_there_was_no_time_are_retried() -> None:
    """If they were deferred, later messages of the group would overtake them."""
    stored = [StoredObject("documents", f"in/{number}.jsonl", etag="e", origin=Origin(number, group="a")) for number in range(20)]
    sink, queue = MemoryShards(), Queue(lines=BATCH_CONTENTS)
    to_retry = run(stored, sink, FakeService(seconds=0.0003), queue=queue, seconds=1.0)
    assert queue.sent == []
    assert [message for message, _ in to_retry] == list(range(len(sink.files), 20))


def test_without_a_continuation_queue_objects_for_which_there_was_no_time_are_retried() -> None:
    """There is no other place for their offset."""
    stored = [StoredObject("documents", f"in/{number}.jsonl", etag="e", origin=Origin(number)) for number in range(20)]
    sink = MemoryShards()
    to_retry = run(stored, sink, FakeService(seconds=0.0003), queue=Queue(works=False, lines=BATCH_CONTENTS), seconds=1.0)
    assert [message for message, _ in to_retry] == list(range(len(sink.files), 20))


def test_an_object_is_retried_if_the_sink_refuses_a_shard() -> None:
    """The failures of its lines were recorded before: a shard that is there is complete."""
    kept = Kept()
    service = FakeService(failing=choking_on("line 3"))
    ((message, _),) = run([STORED], MemoryShards(refused=["line 7"]), service, kept, Queue(lines=10))
    assert message == "m"
    assert list(kept.reasons) == ["line 3"]


def test_an_object_that_can_never_be_read_is_recorded_with_the_reason() -> None:
    """It is treated like a record that can never be embedded."""

    def lines(_: StoredObject) -> Iterator[ObjectLine]:
        msg = "it is not gzip"
        raise Validation(msg)

    kept = Kept()
    pipeline = Pipeline(FakeService(), Memory(), kept, ObjectStore(lines, lambda *_: False, lambda _: False))
    assert pipeline.run([STORED], time.monotonic() + LATER) == []
    assert kept.reasons == {"s3://documents/in/a.jsonl": "it is not gzip"}


def test_an_object_that_the_pipeline_wrote_is_never_read(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be written and read again for ever."""
    sink = Memory()
    assert run([StoredObject("documents", "out/a.jsonl")], sink, queue=Queue(lines=3)) == []
    assert sink.ids == []
    assert '"own_object_skipped"' in capsys.readouterr().err


def test_an_object_in_a_group_waits_for_earlier_messages_and_later_ones_wait_for_it() -> None:
    """A group is written in its order, whatever its messages hold."""
    sink = Memory(refused=["wait"])
    stored = StoredObject("documents", "in/a.jsonl", origin=Origin("m", group="a"))
    to_retry = run([record("a1", "wait", group="a"), stored, record("a2", group="a")], sink, queue=Queue(lines=3))
    assert [message for message, _ in to_retry] == ["a1", "m", "a2"]
    assert sink.ids == []
