"""The pipeline killed again and again at random points, until its queue is empty: nothing is lost, and nothing is there twice.

`python -m tests.pipelines.kills --runs 5`. Every run is drawn from its seed: which records can never be embedded, where the process
dies, what the sink refuses for now. Even seeds have a standard queue, odd ones a FIFO queue in which every record changes its text
several times: what is in the sink at the end must be the last of them. The function runs in forks of this process, which has no
threads; SQS and S3 Vectors are moto's, in another.
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
from itertools import batched
from typing import Any

import numpy as np

from events.aws import LocalAWS
from handler.functions.pipeline import Parts, answering
from handler.pipeline import FailureDestination, Sink
from handler.records import Failure, Result
from tests.pipelines.fakes import DIMENSION, FakeService, vector_of
from tests.pipelines.poller import Queue, poll

RECORDS = 1000
GROUPS = 250
AT_ONCE = 125
"""Records that wait in the queue: the time of each of moto's calls grows with them."""
MOST_EVENTS = 1000
BATCHES = 10
"""Calls of SQS whose messages make one event of a standard queue: a hundred messages."""
POINTS = ("read", "embedded", "half written", "written", "half kept", "kept", "answered")
"""Where the function dies: before it embeds, between that and writing, in either writing, after it, after its answer is made."""
DEADLY, REFUSED, BAD = 0.3, 0.02, 0.04
"""The share of events in which it dies, of results that the sink refuses for now, and of records that can never be embedded."""


@dataclass
class Fate:
    """The point at which this process dies, once it comes by."""

    point: str | None = None

    def at(self, point: str) -> None:
        """Die here, if it is to be."""
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalService(FakeService):
    """A service in a process that may die."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(failing=lambda _: fate.at("read"))
        self.fate = fate

    def embed(self, *arguments: Any) -> Any:  # noqa: ANN401 - as its own
        made = super().embed(*arguments)
        self.fate.at("embedded")
        return made


@dataclass
class MortalSink:
    """A sink in a process that may die; sometimes it refuses a result for now."""

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
        left = [result.record for result in results if id(result) in refused]
        return [Failure(record.id, "throttled", "Backend", transient=True, origin=record.origin) for record in left]


@dataclass
class MortalDestination:
    """A failure destination in a process that may die."""

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
    """The pipeline function in a process of its own, which is made anew where it has died."""

    def __init__(self, parts: Parts, chance: random.Random) -> None:
        """Make nothing yet."""
        self._parts = parts
        self._chance = chance
        self.deaths = 0

    def invoke(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where it died."""
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
        """Answer one event and end. Never returns."""
        parts = self._parts
        assert parts.sink
        assert parts.destination
        mortal = Parts(
            parts.settings,
            MortalSink(parts.sink, fate, chance),
            MortalDestination(parts.destination, fate),
            parts.objects,
            parts.named_sink,
        )
        try:
            reply = answering(MortalService(fate), mortal)(event, None)
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


def drawn(chance: random.Random, *, fifo: bool) -> tuple[list[tuple[str, str]], dict[str, str], int]:
    """Bodies with their groups in the order they are sent, the text that each id ends with, and how many bodies are broken."""
    names = [f"{number % GROUPS if fifo else number}" for number in range(RECORDS)]
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
    """One queue, emptied; one line about it.

    Raises:
        AssertionError: something was lost, or is not what it should be.
    """
    chance, started = random.Random(seed), time.monotonic()  # noqa: S311 - repeatable, not secret
    fifo = bool(seed % 2)
    name = f"kills-{seed}-{time.time_ns()}"
    sqs, vectors = aws.client("sqs"), aws.client("s3vectors")
    index = {"vectorBucketName": name, "indexName": "passages"}
    vectors.create_vector_bucket(vectorBucketName=name)
    vectors.create_index(**index, dataType="float32", dimension=DIMENSION, distanceMetric="cosine")
    queue, failed = Queue(sqs, f"{name}{'.fifo' if fifo else ''}"), Queue(sqs, f"{name}-failed")
    bodies, expected, broken = drawn(chance, fifo=fifo)
    function = Function(Parts.of({"SINK": f"s3vectors://{name}/passages", "FAILURE_DESTINATION": failed.url}), chance)
    events = 0
    for portion in batched(bodies, AT_ONCE, strict=False):
        queue.send(list(portion))
        events += poll(queue, function.invoke, BATCHES, MOST_EVENTS)

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
    kept = {one["record"]["messageId"]: one["error"] for one in map(json.loads, failed.bodies())}
    assert len(kept) == broken, (len(kept), broken)
    assert all(kept.values())
    for one in (queue, failed):
        sqs.delete_queue(QueueUrl=one.url)
    kind = "FIFO" if fifo else "standard"
    seconds = time.monotonic() - started
    return f"seed {seed}: {kind}, {events} events, {function.deaths} deaths, {broken} failures kept, {seconds:.1f} s"


def main() -> None:
    """Run seeds one after the other; an exception ends it."""
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
