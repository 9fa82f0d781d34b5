"""Kafka: records of partitions, in the order of each partition, retried from the first offset that failed."""

import base64
import json
from typing import Any

import pytest

from handler.errors import Validation
from handler.kinds import PIPELINE, find, function_of
from handler.records import Failure, Record, Skipped, StoredObject
from handler.sources import kafka
from tests.handler.functions.fake_lambda import answer_of
from tests.handler.known_events import EVENTS
from tests.pipelines.fakes import FakeService, Kept, Memory, choking_on


def encoded(value: str | bytes) -> str:
    """A value as Lambda sends it."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def event(**partitions: list[Any]) -> dict[str, Any]:
    """An event of MSK with these values; a partition's offsets begin at 100."""
    records = {
        name.replace("_", "-"): [
            {"topic": "t", "partition": 0, "offset": 100 + place, "value": value} for place, value in enumerate(values)
        ]
        for name, values in partitions.items()
    }
    return {"eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b", "records": records}


def named(partition: str, offset: int) -> dict[str, Any]:
    """A failure as Lambda wants it named."""
    return {"itemIdentifier": {"partition": partition, "offset": offset}}


def test_a_record_is_a_plain_text_or_a_record_with_an_id_of_its_own() -> None:
    """One without an id is named by its partition and offset, which no other record has."""
    found = list(kafka.records(EVENTS["kafka"], "inputs"))
    assert [(one.id, one.text) for one in found if isinstance(one, Record)] == [
        ("weather-1", "Today is a sunny day and I will get some ice cream."),
        ("weather-2", "It rained all morning, so the picnic moved indoors."),
        ("documents-1:7", "The forecast promises snow."),
    ]
    assert [one.origin.group for one in found] == ["documents-0", "documents-0", "documents-1"]
    assert [one.origin.original for one in found] == [
        record for partition in EVENTS["kafka"]["records"].values() for record in partition
    ]


@pytest.mark.parametrize("service", ["aws:kafka", "SelfManagedKafka"])
def test_events_of_msk_and_of_brokers_of_ones_own_go_to_the_pipeline(service: str) -> None:
    """They were refused, and `make invoke` sent them to the HTTP function, because they have `records`."""
    changed = {name: value for name, value in EVENTS["kafka"].items() if name != "eventSourceArn"} | {"eventSource": service}
    kind = find(changed)
    assert kind
    assert (kind.name, function_of(changed)) == ("Kafka", PIPELINE)
    sink = Memory()
    assert answer_of(sink)(changed, None) == {"batchItemFailures": []}
    assert sorted(sink.ids) == ["documents-1:7", "weather-1", "weather-2"]


def test_a_partition_is_retried_from_its_first_failure_and_others_go_on() -> None:
    """Nothing that comes later in the partition is written before it."""
    sink = Memory(refused=["wait"])
    words = [encoded(json.dumps({"id": name, "inputs": text})) for name, text in (("a", "one"), ("b", "wait"), ("c", "three"))]
    reply = answer_of(sink)(event(t_0=words, t_1=[encoded("other")], t_2=[encoded("wait too")]), None)
    assert reply == {"batchItemFailures": [named("t-2", 100), named("t-0", 101)]}
    assert sorted(sink.ids) == ["a", "t-1:100"]


def test_the_records_of_a_partition_are_written_one_after_the_other() -> None:
    """The first of each partition are in one write, and so on."""
    sink = Memory()
    texts = [encoded(word) for word in ("one", "two", "three")]
    assert answer_of(sink)(event(t_0=texts, t_1=texts[:2]), None) == {"batchItemFailures": []}
    assert sink.writes == [["t-0:100", "t-1:100"], ["t-0:101", "t-1:101"], ["t-0:102"]]


def test_a_record_that_can_never_be_embedded_goes_to_the_failure_destination_and_blocks_nobody() -> None:
    """Without a failure destination its partition is retried from there, until Lambda gives the record up."""
    values = [encoded(b"\xff\xfe"), "not base64!", encoded("{not JSON"), encoded("bad"), encoded("good")]
    kept, sink = Kept(), Memory()
    service = FakeService(failing=choking_on("bad"))
    assert answer_of(sink, service, kept)(event(t_0=values), None) == {"batchItemFailures": []}
    not_text = "The record's value is not text in UTF-8, encoded as base64"
    assert kept.reasons == {
        "t-0:100": not_text,
        "t-0:101": not_text,
        "t-0:102": "The message begins like a JSON object, but is not JSON",
        "t-0:103": "no vector",
    }
    assert sink.ids == ["t-0:104"]
    assert answer_of(Memory(), service)(event(t_0=values), None) == {"batchItemFailures": [named("t-0", 100)]}


def test_a_tombstone_is_skipped() -> None:
    """A compacted topic deletes a key with a record without a value."""
    (skipped,) = kafka.records(event(t_0=[None]), "inputs")
    assert skipped == Skipped("t-0:100", "no value", skipped.origin)


def test_a_record_may_be_another_services_envelope() -> None:
    """A connector may write S3's notifications into a topic."""
    (stored,) = kafka.records(event(t_0=[encoded(json.dumps(EVENTS["s3"]))]), "inputs")
    assert isinstance(stored, StoredObject)
    assert stored.origin.group == "t-0"


@pytest.mark.parametrize("offset", [None, "7", True], ids=["missing", "a string", "a boolean"])
def test_a_record_without_an_offset_has_lambda_retry_the_batch(offset: object) -> None:
    """Lambda does so if a reply names an offset that the event does not have."""
    broken = event(t_0=[encoded("{not JSON")])
    broken["records"]["t-0"][0]["offset"] = offset
    (failure,) = kafka.records(broken, "inputs")
    assert isinstance(failure, Failure)
    assert kafka.name_first_of_partitions([failure]) == {"batchItemFailures": [named("t-0", -1)]}


@pytest.mark.parametrize("records", [None, [], {}, {"t-0": 3}], ids=["null", "a list", "nothing", "a number"])
def test_what_only_looks_like_an_event_of_kafka_is_refused(records: object) -> None:
    """It has no partitions."""
    with pytest.raises(Validation, match=r"^This function takes .* Given: an event with the fields "):
        answer_of(Memory())({"eventSource": "aws:kafka", "records": records}, None)
