"""The one way of a pipeline: nothing that was read is lost, whatever fails."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from handler.errors import Validation
from handler.pipeline.batching import embedded
from handler.pipeline.messages import RECORDS, Pipeline
from handler.pipeline.objects import shards
from handler.pipeline.ports import Line, Objects, Sink
from handler.records import Content, Failure, Gone, Nothing, Origin, Record, Result, StoredObject
from handler.service import Options, Service
from tests.pipelines.fakes import FakeService, Kept, Memory, MemoryIndex, MemoryShards, choking_on, vector_of, without_model

LATER = 3600.0
STORED = StoredObject("documents", "in/a.jsonl", etag="e", origin=Origin("m"))


def record(name: str, text: str = "", group: str | None = None, **options: object) -> Record:
    """A record in a message of its own."""
    return Record(name, text or f"text {name}", Options(**options), {}, Origin(name, {"body": name}, group))  # type: ignore[arg-type]


class Queue:
    """Where rests of objects go, and what objects there are."""

    def __init__(self, *, works: bool = True, lines: int = 0, broken_at: int | None = None) -> None:
        self.works = works
        self.sent: list[int] = []
        self.objects = Objects(partial(self.lines, lines, broken_at), self.put_off, lambda stored: stored.key.startswith("out/"))

    def lines(self, count: int, broken_at: int | None, stored: StoredObject) -> Iterator[Line]:
        for number in range(stored.offset // 10, count):
            if number == broken_at:
                raise ConnectionError
            yield Line(10 * number, 10 * number + 10, record(f"line {number}"))

    def put_off(self, stored: StoredObject, offset: int) -> bool:
        del stored
        self.sent += [offset] if self.works else []
        return self.works


def run(
    contents: Sequence[Content],
    sink: Sink,
    service: Service | None = None,
    destination: Kept | None = None,
    queue: Queue | None = None,
    seconds: float = LATER,
) -> list[tuple[object, str]]:
    """Message and reason of all that is to come again."""
    pipeline = Pipeline(service or FakeService(), sink, destination, (queue or Queue()).objects)
    return [(failure.origin.message, failure.error) for failure in pipeline.run(contents, time.monotonic() + seconds)]


def test_every_record_has_its_own_vector_in_its_place() -> None:
    """Whatever options stand beside it; those with the same options are embedded together."""
    service = FakeService()
    records = [record(str(number), dimensions=number % 3 or None) for number in range(100)]
    made = embedded(service, records)
    assert [outcome.record.id for outcome in made if isinstance(outcome, Result)] == [one.id for one in records]
    assert all((outcome.vector == vector_of(outcome.record.text)).all() for outcome in made if isinstance(outcome, Result))
    assert len(service.calls) == 3


def test_a_text_that_fails_takes_no_other_with_it() -> None:
    """However many were embedded with it."""
    bad = {13, 14, 200}
    records = [record(str(number), "bad" if number in bad else f"good {number}") for number in range(300)]
    made = embedded(FakeService(failing=choking_on("bad")), records)
    failed = {number for number, outcome in enumerate(made) if isinstance(outcome, Failure)}
    assert failed == bad
    assert not any(outcome.transient for outcome in made if isinstance(outcome, Failure))


def test_what_fails_by_the_deployment_is_worth_another_try() -> None:
    """Without a model, and with a surprise."""
    for failing in (without_model, lambda _: KeyError("surprise")):
        (failure,) = embedded(FakeService(failing=failing), [record("a")])
        assert isinstance(failure, Failure)
        assert failure.transient


def test_permanent_failures_are_kept_with_reason_and_original_and_block_nobody() -> None:
    """The rest is written, and nothing comes again."""
    sink, kept = Memory(), Kept()
    contents: list[Content] = [
        record("a"),
        record("b", "bad"),
        record("c", prompt_name="none"),
        record("d"),
        Nothing("e", "deleted", Origin("e")),
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
def test_without_a_failure_destination_permanent_failures_come_again(kept: Kept | None) -> None:
    """The queue's own dead-letter queue has them in the end."""
    sink = Memory()
    assert run([record("a"), record("b", "bad")], sink, FakeService(failing=choking_on("bad")), kept) == [("b", "no vector")]
    assert sink.ids == ["a"]


def test_what_is_gone_in_the_end_is_deleted_where_a_sink_can() -> None:
    """By the last that is said of it in an event: written then, or deleted then; any other sink lets it be."""
    sink = MemoryIndex()
    contents: list[Content] = [record("a"), Gone("a", "deleted"), Gone("b", "deleted"), record("b"), Gone("c", "deleted")]
    assert run(contents, sink) == []
    assert (sink.ids, sink.deleted) == (["a", "b"], ["a", "c"])
    assert run(contents, Memory()) == []


def test_what_a_sink_does_not_delete_for_now_comes_again() -> None:
    """As what it does not write."""
    assert run([record("a"), Gone("b", "deleted", Origin("b"))], MemoryIndex(refused=["b"])) == [("b", "throttled")]


def test_what_a_sink_refuses_for_now_comes_again() -> None:
    """That alone."""
    sink = Memory(refused=["b"])
    assert run([record("a"), record("b", "text b"), record("c")], sink) == [("b", "throttled")]


def test_a_group_is_written_in_its_order_and_stops_at_its_first_failure() -> None:
    """Others go on. What can never be embedded stops nobody."""
    sink, kept = Memory(refused=["wait"]), Kept()
    contents: list[Content] = [
        record("a1", group="a"),
        record("b1", "bad", group="b"),
        record("a2", "wait", group="a"),
        record("b2", group="b"),
        record("a3", group="a"),
        Failure("a4", "not JSON", "Validation", transient=False, origin=Origin("a4", group="a")),
    ]
    back = run(contents, sink, FakeService(failing=choking_on("bad")), kept)
    assert [message for message, _ in back] == ["a2", "a3", "a4"]
    assert sink.ids == ["a1", "b2"]
    assert list(kept.reasons) == ["b1"]
    assert [len(write) for write in sink.writes] == [1, 1]


def test_records_without_groups_are_written_together() -> None:
    """One write, not one for each."""
    sink = Memory()
    assert run([record(str(number)) for number in range(50)], sink) == []
    assert len(sink.writes) == 1


def test_when_the_time_is_over_the_rest_comes_again_and_what_was_done_is_written() -> None:
    """Each record is in one of the two."""
    sink = Memory()
    started = time.monotonic()
    back = run([record(str(number)) for number in range(2000)], sink, FakeService(seconds=0.002), seconds=0.5)
    assert time.monotonic() - started < 2
    assert 0 < len(sink.ids) < 2000
    assert {reason for _, reason in back} == {"the time ran out"}
    assert sorted([*sink.ids, *(str(message) for message, _ in back)]) == sorted(map(str, range(2000)))


def test_an_object_is_written_in_shards_named_by_its_bytes() -> None:
    """Not one line of it is lost, and no more than a shard is held."""
    sink = MemoryShards()
    assert run([STORED], sink, queue=Queue(lines=2 * RECORDS + 5)) == []
    assert [name.removeprefix("documents/in/a.jsonl/e/") for name in sink.files] == [
        "000000000000000-000000000010000",
        "000000000010000-000000000020000",
        "000000000020000-000000000020050",
    ]
    assert sink.ids == [f"line {number}" for number in range(2 * RECORDS + 5)]


def test_the_borders_of_shards_depend_on_the_lines_alone() -> None:
    """From any shard on they are the same."""
    lines = [Line(start, start + 1_500_000, record("a")) for start in range(0, 9_000_000, 1_500_000)]
    whole = [(part[0].start, part[-1].stop) for part in shards(lines)]
    assert whole == [(0, 4_500_000), (4_500_000, 9_000_000)]
    assert [(part[0].start, part[-1].stop) for part in shards(lines[3:])] == whole[1:]


def test_an_object_finishes_across_invocations_each_stopped_at_its_limit() -> None:
    """Each goes on where the one before stopped; no shard is made twice. One that could not do a single shard comes again."""
    sink, queue, invocations = MemoryShards(), Queue(lines=5 * RECORDS), 0
    waiting = [STORED]
    while waiting:
        assert invocations < 50
        stored = waiting.pop()
        back = run([stored], sink, FakeService(seconds=0.0001), queue=queue, seconds=0.8)
        waiting += [stored] if back else [StoredObject(STORED.bucket, STORED.key, etag="e", offset=offset) for offset in queue.sent]
        queue.sent.clear()
        invocations += 1
    assert invocations > 1
    assert sink.ids == [f"line {number}" for number in range(5 * RECORDS)]
    assert sink.repeated == []


def test_a_repeat_of_an_object_makes_only_the_shards_that_are_not_there() -> None:
    """After a death between two of them, say."""
    sink, service = MemoryShards(), FakeService()
    queue = Queue(lines=3 * RECORDS, broken_at=2 * RECORDS)
    assert run([STORED], sink, service, queue=queue) == [("m", "s3://documents/in/a.jsonl could not be read: ConnectionError")]
    assert len(sink.files) == 2
    before = len(service.calls)
    assert run([STORED], sink, service, queue=Queue(lines=3 * RECORDS)) == []
    assert len(sink.files) == 3
    assert sink.repeated == []
    assert sum(map(len, service.calls[before:])) == RECORDS


@pytest.mark.parametrize("queue", [Queue(works=False, lines=3 * RECORDS), Queue(works=False, lines=RECORDS)])
def test_an_object_whose_rest_cannot_be_put_off_comes_again(queue: Queue) -> None:
    """Also one of which not even the first shard could be done: it would go round forever."""
    (back,) = run([STORED], MemoryShards(), FakeService(seconds=0.001), queue=queue, seconds=0.5)
    assert back[0] == "m"


def test_an_object_without_any_progress_is_not_put_off() -> None:
    """Its message comes again, and in the end the dead-letter queue has it."""
    queue = Queue(lines=RECORDS)
    ((message, reason),) = run([STORED], MemoryShards(), FakeService(seconds=0.01), queue=queue, seconds=0.1)
    assert (message, queue.sent) == ("m", [])
    assert reason == "s3://documents/in/a.jsonl is not done from byte 0: the time ran out"


def test_objects_that_others_of_their_event_left_no_time_for_are_put_off_unread() -> None:
    """Given back, they would be in the dead letters before their turn comes: a queue tries a message a few times only."""
    queue, read = Queue(lines=RECORDS), []
    lines = queue.objects.lines

    def told(stored: StoredObject) -> Iterator[Line]:
        read.append(stored.key)
        return lines(stored)

    queue.objects = replace(queue.objects, lines=told)
    stored = [StoredObject("documents", f"in/{number}.jsonl", etag="e", origin=Origin(number)) for number in range(20)]
    sink = MemoryShards()
    assert run(stored, sink, FakeService(seconds=0.0003), queue=queue, seconds=1.0) == []
    assert len(sink.files) + len(queue.sent) == 20
    assert len(queue.sent) > 10
    assert len(read) <= len(sink.files) + 1


def test_objects_of_a_group_that_there_was_no_time_for_come_again() -> None:
    """Put off, they would be overtaken by what is behind them."""
    stored = [StoredObject("documents", f"in/{number}.jsonl", etag="e", origin=Origin(number, group="a")) for number in range(20)]
    sink, queue = MemoryShards(), Queue(lines=RECORDS)
    back = run(stored, sink, FakeService(seconds=0.0003), queue=queue, seconds=1.0)
    assert queue.sent == []
    assert [message for message, _ in back] == list(range(len(sink.files), 20))


def test_without_a_queue_for_them_objects_that_there_was_no_time_for_come_again() -> None:
    """As before."""
    stored = [StoredObject("documents", f"in/{number}.jsonl", etag="e", origin=Origin(number)) for number in range(20)]
    sink = MemoryShards()
    back = run(stored, sink, FakeService(seconds=0.0003), queue=Queue(works=False, lines=RECORDS), seconds=1.0)
    assert [message for message, _ in back] == list(range(len(sink.files), 20))


def test_a_shard_that_is_not_taken_has_the_object_come_again() -> None:
    """And its failures have been kept before: a shard that is there is whole."""
    kept = Kept()
    service = FakeService(failing=choking_on("line 3"))
    ((message, _),) = run([STORED], MemoryShards(refused=["line 7"]), service, kept, Queue(lines=10))
    assert message == "m"
    assert list(kept.reasons) == ["line 3"]


def test_an_object_that_can_never_be_read_is_kept_with_the_reason() -> None:
    """As a record that can never be embedded is."""

    def lines(_: StoredObject) -> Iterator[Line]:
        msg = "it is not gzip"
        raise Validation(msg)

    kept = Kept()
    pipeline = Pipeline(FakeService(), Memory(), kept, Objects(lines, lambda *_: False, lambda _: False))
    assert pipeline.run([STORED], time.monotonic() + LATER) == []
    assert kept.reasons == {"s3://documents/in/a.jsonl": "it is not gzip"}


def test_an_object_of_our_own_is_never_read(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be written, and read, and written."""
    sink = Memory()
    assert run([StoredObject("documents", "out/a.jsonl")], sink, queue=Queue(lines=3)) == []
    assert sink.ids == []
    assert '"own_object_skipped"' in capsys.readouterr().err


def test_an_object_in_a_group_waits_for_what_is_before_it() -> None:
    """And what is after it waits for the object."""
    sink = Memory(refused=["wait"])
    stored = StoredObject("documents", "in/a.jsonl", origin=Origin("m", group="a"))
    back = run([record("a1", "wait", group="a"), stored, record("a2", group="a")], sink, queue=Queue(lines=3))
    assert [message for message, _ in back] == ["a1", "m", "a2"]
    assert sink.ids == []
