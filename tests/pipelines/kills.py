"""Kill the pipeline at random points until its source is done; check that nothing is lost and nothing is written twice.

Run it by `python -m tests.pipelines.kills --runs 5`. KILL_RECORDS is the number of records of a queue or a stream.

The seed of a run decides which records can never be embedded, where the process dies, and what
the sink refuses as if it were busy. The sources take turns:

- a standard queue;
- a FIFO queue, in which every record changes its text several times, and the sink must end with the last text;
- an object in S3 that takes longer than one invocation;
- the stream of a table whose items are added, changed and deleted.

The function runs in forks of this process. SQS, S3 and S3 Vectors are moto's, in another process.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import Any

import numpy as np

from events.aws import LocalAWS
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.pipeline.ports import DeletingSink, FailureDestination, Sink
from handler.records import Deleted, Failure, Record, Result
from handler.sinks.s3_shards import S3Shards
from tests.handler.functions.fake_lambda import Context
from tests.pipelines.fakes import DIMENSION, FakeService, vector_of
from tests.pipelines.poller import Queue, poll, poll_stream

RECORDS = int(os.environ.get("KILL_RECORDS", "500"))
GROUPS = RECORDS // 4
LINES, SLOW_SECONDS, OBJECT_LIMIT = 4500, 0.0008, 3.0
"""An object's lines, the seconds that each of them takes, and the seconds of one invocation."""
AT_ONCE = 125
"""Records that are in the queue at the same time. Each of moto's calls takes longer with more of them."""
MOST_EVENTS = 1000
BATCHES = 10
"""Calls of SQS for one event of a standard queue, which has a hundred messages."""
POINTS = ("read", "embedded", "half written", "written", "deleted", "half kept", "kept", "answered")
"""Where the function can die: before and after it embeds, during and after each kind of writing, and after its reply is made."""
DEADLY, REFUSED, BAD = 0.3, 0.02, 0.04
"""The share of events in which the function dies, of results that the sink refuses, and of records that can never be embedded."""
ITEMS, GOING, CHANGES_OF_AN_EVENT = 100, 0.3, 50
"""A table's most items, the share of changes that delete one, and the changes of one event."""


@dataclass
class Fate:
    """The point at which this process dies, if it gets there."""

    point: str | None = None

    def at(self, point: str) -> None:
        """Die if this is the point."""
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalService(FakeService):
    """A service whose process may die."""

    def __init__(self, fate: Fate, seconds: float) -> None:
        super().__init__(seconds, failing=lambda _: fate.at("read"))
        self.fate = fate

    def embed(self, *arguments: Any) -> Any:  # noqa: ANN401 - as its own
        made = super().embed(*arguments)
        self.fate.at("embedded")
        return made


@dataclass
class MortalSink:
    """A sink whose process may die. Sometimes it refuses a result as if it were busy."""

    sink: Sink
    fate: Fate
    chance: random.Random

    def write(self, results: Sequence[Result]) -> list[Failure]:
        refused = {id(result) for result in results if self.chance.random() < REFUSED}
        taken = [result for result in results if id(result) not in refused]
        half = len(taken) // 2
        failures = self.sink.write(taken[:half]) if half else []
        self.fate.at("half written")
        failures += self.sink.write(taken[half:]) if taken else []
        self.fate.at("written")
        assert not failures
        return [throttled(result.record) for result in results if id(result) in refused]

    def delete(self, gone: Sequence[Deleted]) -> list[Failure]:
        assert isinstance(self.sink, DeletingSink)
        refused = {one.id for one in gone if self.chance.random() < REFUSED}
        assert not self.sink.delete([one for one in gone if one.id not in refused])
        self.fate.at("deleted")
        return [throttled(one) for one in gone if one.id in refused]


def throttled(record: Record | Deleted) -> Failure:
    """Return the transient failure of a record."""
    return Failure(record.id, "throttled", "Backend", transient=True, origin=record.origin)


@dataclass
class MortalShards:
    """A sink of shards whose process may die."""

    sink: S3Shards
    fate: Fate

    def write(self, results: Sequence[Result]) -> list[Failure]:
        return self.sink.write(results)

    def find_receipt(self, name: str) -> object:
        return self.sink.find_receipt(name)

    def write_shard(self, results: Sequence[Result], name: str) -> object:
        self.fate.at("half written")  # S3 stores an object whole or not at all
        written = self.sink.write_shard(results, name)
        self.fate.at("written")
        return written


@dataclass
class MortalDestination:
    """A failure destination whose process may die."""

    destination: FailureDestination
    fate: Fate

    def write(self, failures: Sequence[tuple[Failure, object]]) -> list[Failure]:
        half = len(failures) // 2
        left = self.destination.write(failures[:half]) if half else []
        self.fate.at("half kept")
        left += self.destination.write(failures[half:])
        self.fate.at("kept")
        return left


class Function:
    """The pipeline function, which runs each event in a process of its own."""

    def __init__(self, parts: Setup, chance: random.Random, seconds: float = 0, limit: float = 900) -> None:
        """Start no process yet. The function takes `seconds` for a text, and has `limit` seconds for an event."""
        self._parts = parts
        self._seconds, self._limit = seconds, limit
        self._chance = chance
        self.deaths = 0

    def invoke(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return the reply to an event; None if the function died."""
        fate = Fate(self._chance.choice(POINTS) if self._chance.random() < DEADLY else None)
        seed = self._chance.random()
        reading, writing = os.pipe()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()  # numpy's threads are not used here
        if not child:
            os.close(reading)
            self._live(event, fate, random.Random(seed), writing)  # noqa: S311 - repeatable, not secret
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            reply = answer.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            self.deaths += 1
            return None
        assert status == 0, status
        found: dict[str, Any] = json.loads(reply)
        return found

    def _live(self, event: dict[str, Any], fate: Fate, chance: random.Random, writing: int) -> None:
        """Handle one event and end the process. Never returns."""
        parts = self._parts
        assert parts.sink
        assert parts.destination
        mortal = Setup(
            parts.settings,
            MortalShards(parts.sink, fate) if isinstance(parts.sink, S3Shards) else MortalSink(parts.sink, fate, chance),
            MortalDestination(parts.destination, fate),
            parts.objects,
            parts.named_sink,
        )
        try:
            reply = make_handler(MortalService(fate, self._seconds), mortal)(event, Context(self._limit))
            fate.at("answered")
            with os.fdopen(writing, "wb") as answer:
                answer.write(json.dumps(reply).encode())
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as its parent's copy
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)


BROKEN: Sequence[Callable[[str], str]] = (
    lambda name: f'{{"id": "{name}", not JSON',
    lambda name: json.dumps({"id": name}),
    lambda name: json.dumps({"id": name, "inputs": ["two", "texts"]}),
    lambda name: json.dumps({"id": name, "inputs": "a", "prompt_name": "unknown"}),
)


def drawn(chance: random.Random, *, fifo: bool, count: int = RECORDS) -> tuple[list[tuple[str, str]], dict[str, str], int]:
    """Draw bodies with their groups, in their order; return also the last text of each id, and how many bodies are broken."""
    names = [f"{number % GROUPS if fifo else number}" for number in range(count)]
    if fifo:
        chance.shuffle(names)
    bodies, last, broken = [], {}, 0
    for number, name in enumerate(names):
        if chance.random() < BAD:
            bodies.append((name, chance.choice(BROKEN)(name)))
            broken += 1
        else:
            last[name] = f"text {number} of {name}"
            bodies.append((name, json.dumps({"id": name, "inputs": last[name]})))
    return bodies, last, broken


def run(aws: LocalAWS, seed: int) -> str:
    """Empty one queue, or read one object or stream to its end; return one line about it.

    Raises:
        AssertionError: something was lost, or is not what it should be.
    """
    started = time.monotonic()
    told = RUNS[seed % len(RUNS)](aws, random.Random(seed), f"kills-{seed}-{time.time_ns()}")  # noqa: S311 - repeatable, not secret
    return f"seed {seed}: {told}, {time.monotonic() - started:.1f} s"


def run_object(aws: LocalAWS, chance: random.Random, name: str) -> str:
    """Read one object to its end."""
    s3, queue = aws.client("s3"), Queue(aws.client("sqs"), name)
    s3.create_bucket(Bucket=name)
    bodies, expected, broken = drawn(chance, fifo=False, count=LINES)
    s3.put_object(Bucket=name, Key="in/a.jsonl", Body="".join(f"{body}\n" for _, body in bodies).encode())
    notice = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    notice |= {"s3": {"bucket": {"name": name}, "object": {"key": "in/a.jsonl"}}}  # type: ignore[dict-item]
    queue.send([("", json.dumps({"Records": [notice]}))])
    settings = {"SINK": f"s3://{name}/out", "FAILURE_DESTINATION": f"s3://{name}/failed", "CONTINUATION_QUEUE": queue.url}
    function = Function(Setup.of(settings), chance, SLOW_SECONDS, OBJECT_LIMIT)
    events = poll(queue, function.invoke, 1, MOST_EVENTS)
    found: list[dict[str, Any]] = []
    failed = set()
    for one in s3.list_objects_v2(Bucket=name)["Contents"]:
        lines = (
            [json.loads(line) for line in s3.get_object(Bucket=name, Key=one["Key"])["Body"].read().splitlines()]
            if (not one["Key"].startswith("in/"))
            else []
        )
        if one["Key"].startswith("out/"):
            found += lines
        failed |= {(line["record"]["start"], line["error"]) for line in lines if one["Key"].startswith("failed/")}
    assert len(found) == len(expected), (len(found), len(expected))
    assert {one["id"] for one in found} == expected.keys()
    assert all(np.array_equal(np.array(one["embedding"], np.float32), vector_of(expected[one["id"]])) for one in found)
    assert len(failed) == broken, (len(failed), broken)
    return f"object, {events} events, {function.deaths} deaths, {broken} failures kept"


def run_queue(aws: LocalAWS, chance: random.Random, name: str, *, fifo: bool = False) -> str:
    """Empty one queue."""
    sqs, vectors = aws.client("sqs"), aws.client("s3vectors")
    index = {"vectorBucketName": name, "indexName": "passages"}
    make_index(vectors, index)
    queue, failed = Queue(sqs, f"{name}{'.fifo' if fifo else ''}"), Queue(sqs, f"{name}-failed")
    bodies, expected, broken = drawn(chance, fifo=fifo)
    function = Function(Setup.of({"SINK": f"s3vectors://{name}/passages", "FAILURE_DESTINATION": failed.url}), chance)
    events = 0
    for portion in batched(bodies, AT_ONCE, strict=False):
        queue.send(list(portion))
        events += poll(queue, function.invoke, BATCHES, MOST_EVENTS)

    hold(expected, vectors, index)
    kept = {one["record"]["messageId"]: one["error"] for one in map(json.loads, failed.bodies())}
    assert len(kept) == broken, (len(kept), broken)
    assert all(kept.values())
    for one in (queue, failed):
        sqs.delete_queue(QueueUrl=one.url)
    return f"{'FIFO' if fifo else 'standard'}, {events} events, {function.deaths} deaths, {broken} failures kept"


def run_stream(aws: LocalAWS, chance: random.Random, name: str) -> str:
    """Read one table's stream to its end."""
    vectors, failed = aws.client("s3vectors"), Queue(aws.client("sqs"), f"{name}-failed")
    index = {"vectorBucketName": name, "indexName": "passages"}
    make_index(vectors, index)
    changes, expected, broken = drawn_changes(chance)
    function = Function(Setup.of({"SINK": f"s3vectors://{name}/passages", "FAILURE_DESTINATION": failed.url}), chance)
    events = poll_stream(changes, function.invoke, CHANGES_OF_AN_EVENT, MOST_EVENTS)
    hold(expected, vectors, index)
    kept = {one["record"]["dynamodb"]["SequenceNumber"] for one in map(json.loads, failed.bodies())}
    assert len(kept) == broken, (len(kept), broken)
    return f"stream, {events} events, {function.deaths} deaths, {broken} failures kept"


def drawn_changes(chance: random.Random) -> tuple[list[dict[str, Any]], dict[str, str], int]:
    """Draw changes of a table's items; return also the last text of each item, and how many changes have no text to embed."""
    images: dict[str, dict[str, Any]] = {}
    changes, broken = [], 0
    expected: dict[str, str] = {}
    for number in range(RECORDS):
        name = str(chance.randrange(ITEMS))
        change: dict[str, Any] = {
            "Keys": {"pk": {"S": name}},
            "SequenceNumber": str(number),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        if name in images:
            change["OldImage"] = images[name]
        going = name in images and chance.random() < GOING
        if going:
            del images[name]
            expected.pop(name, None)
        else:
            bad = chance.random() < BAD
            text = " " * number if bad else f"text {number} of {name}"
            images[name] = change["NewImage"] = {"pk": {"S": name}, "inputs": {"S": text}}
            broken += bad
            if not bad:
                expected[name] = text
        kind = "REMOVE" if going else "MODIFY" if "OldImage" in change else "INSERT"
        arn = "arn:aws:dynamodb:us-east-1:123456789012:table/documents/stream/2026-11-21T00:00:00.000"
        changes.append({"eventName": kind, "eventSource": "aws:dynamodb", "eventSourceARN": arn, "dynamodb": change})
    return changes, expected, broken


def make_index(vectors: Any, index: dict[str, str]) -> None:  # noqa: ANN401 - botocore's
    """Make an index of S3 Vectors, in a bucket of its own."""
    vectors.create_vector_bucket(vectorBucketName=index["vectorBucketName"])
    vectors.create_index(**index, dataType="float32", dimension=DIMENSION, distanceMetric="cosine")


def hold(expected: dict[str, str], vectors: Any, index: dict[str, str]) -> None:  # noqa: ANN401 - botocore's
    """Check that an index has the vectors of these texts, and no others.

    Raises:
        AssertionError: a vector is missing, belongs to another text, or is left over.
    """
    found: dict[str, list[float]] = {}
    token: dict[str, str] = {}
    while True:
        page = vectors.list_vectors(**index, maxResults=500, returnData=True, **token)
        found |= {one["key"]: one["data"]["float32"] for one in page["vectors"]}
        if not (next_token := page.get("nextToken")):
            break
        token = {"nextToken": next_token}
    assert found.keys() == expected.keys(), (len(found), len(expected))
    wrong = [one for one, text in expected.items() if not np.array_equal(np.array(found[one], np.float32), vector_of(text))]
    assert not wrong, wrong


RUNS: Sequence[Callable[[LocalAWS, random.Random, str], str]] = (run_queue, partial(run_queue, fifo=True), run_object, run_stream)


def main() -> None:
    """Run seeds one after the other. An exception ends the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    with LocalAWS() as aws:
        os.environ.update(aws.environment)
        for seed in range(arguments.first, arguments.first + arguments.runs):
            print(run(aws, seed), flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
