"""EventBridge Pipes: each element of the list holds one record."""

import base64
import json

import pytest

from handler.records import Deleted, Failure, Record, Skipped
from handler.sources import pipes
from tests.handler.known_events import EVENTS


def test_each_element_of_a_pipe_gives_one_content() -> None:
    """Elements come from any service that a pipe reads, or from its input template as objects and strings."""
    changes = EVENTS["dynamodb"]["Records"]
    record = EVENTS["kinesis"]["Records"][0]
    data = {**record["kinesis"], "eventSource": "aws:kinesis", "eventID": record["eventID"]}
    queued = EVENTS["sqs"]["Records"][0] | {"body": json.dumps(EVENTS["s3"])}
    event = [*EVENTS["pipes"], *changes, data, {"id": "a", "inputs": "b"}, "It rained.", queued, 3]
    made = list(pipes.records(event, "inputs"))
    assert [type(content) for content in made] == [Record] * 4 + [Skipped, Deleted] + [Record] * 3 + [Failure] * 2
    assert [content.origin.message for content in made] == list(range(len(event)))


@pytest.mark.parametrize("service", ["aws:kafka", "SelfManagedKafka"])
def test_an_element_of_kafka_is_a_text_or_a_record_named_by_its_partition_and_offset(service: str) -> None:
    """A pipe sends each record of Kafka by itself, in the form of its own documentation. A value of null deletes a key."""
    values: list[str | bytes | None] = ["It rained.", '{"id": "a", "inputs": "All day."}', None, b"\xff"]
    event: list[dict[str, object]] = [
        {
            "eventSource": service,
            "eventSourceKey": "documents-0",
            "topic": "documents",
            "partition": 0,
            "offset": 15 + place,
            "timestamp": 1545084650987,
            "timestampType": "CREATE_TIME",
            "key": "YQ==",
            "value": value if value is None else base64.b64encode(value.encode() if isinstance(value, str) else value).decode(),
            "headers": [],
        }
        for place, value in enumerate(values)
    ]
    text, record, tombstone, damaged = pipes.records(event, "inputs")
    assert [(one.id, one.text, one.metadata) for one in (text, record) if isinstance(one, Record)] == [
        ("documents-0:15", "It rained.", {}),
        ("a", "All day.", {}),
    ]
    assert isinstance(tombstone, Skipped)
    assert isinstance(damaged, Failure)
    assert damaged.error == "The record's value is not text in UTF-8, encoded as base64"


def test_an_object_in_an_element_is_refused_with_a_way_that_works() -> None:
    """A pipe's target gets the same list, so that the object would be refused there, too."""
    (failure,) = pipes.records([EVENTS["sqs"]["Records"][0] | {"body": json.dumps(EVENTS["s3"])}], "inputs")
    assert isinstance(failure, Failure)
    assert failure.error == (
        "An element of a pipe must hold one record. To embed objects of S3, make their queue an event source of this function, "
        "in the place of the pipe"
    )
