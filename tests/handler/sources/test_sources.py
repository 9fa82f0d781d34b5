"""Every message of a source holds records, or failures with reasons."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.records import Content, Failure, Origin, Record, Skipped, StoredObject
from handler.service import Options
from handler.sources import distributed_map, kinesis, sqs
from handler.sources.envelopes import parse_message
from handler.sources.files import read_file
from handler.sources.record_parsing import LONGEST_TEXT
from tests.handler.known_events import EVENTS
from tests.handler.sources.held import Held

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)


def found(body: object) -> list[Content]:
    """Return the contents of a message with this body."""
    return list(parse_message(body if isinstance(body, str) else json.dumps(body), "m", Origin("m"), "inputs"))


SNS = {"Type": "Notification", "MessageId": "n", "TopicArn": "arn"}
STORED = StoredObject("documents", "in/two passages.jsonl", None, "65cd35df445985a8d402723931f7d149")

BODIES: dict[str, tuple[object, list[tuple[str, str]]]] = {
    "plain": ("It rained.\nAll day.", [("m", "It rained.\nAll day.")]),
    "plain, with quotes": ('"Well," she said.', [("m", '"Well," she said.')]),
    "plain, with brackets": ("[1] It rained.", [("m", "[1] It rained.")]),
    "plain, in brackets": ("[2026]", [("m", "[2026]")]),
    "a JSON string": ('"It rained."', [("m", "It rained.")]),
    "a record": ({"id": "a", "inputs": "It rained."}, [("a", "It rained.")]),
    "a record without an id": ({"inputs": "It rained."}, [("m", "It rained.")]),
    "a number for an id": ({"id": 7, "inputs": "It rained."}, [("7", "It rained.")]),
    "SNS": ({**SNS, "Message": "It rained."}, [("n", "It rained.")]),
    "a record in SNS": ({**SNS, "Message": '{"id": "a", "inputs": "It rained."}'}, [("a", "It rained.")]),
    "SNS in SNS": ({**SNS, "Message": json.dumps({**SNS, "MessageId": "o", "Message": "It rained."})}, [("o", "It rained.")]),
    "EventBridge": (EVENTS["eventbridge"], [("weather-1", "Today is a sunny day and I will get some ice cream.")]),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_a_text_a_record_or_an_envelope_with_a_record(name: str) -> None:
    """Queues receive messages from people and from other services."""
    body, records = BODIES[name]
    assert [(one.id, one.text) for one in found(body) if isinstance(one, Record)] == records


@pytest.mark.parametrize(
    "body", [EVENTS["s3"], EVENTS["s3_eventbridge"], {**SNS, "Message": json.dumps(EVENTS["s3"])}], ids=["S3", "EventBridge", "SNS"]
)
def test_an_object_is_reported_by_s3_eventbridge_or_sns(body: object) -> None:
    """S3 encodes keys in its own notifications only, so they are decoded there only."""
    (stored,) = found(body)
    assert isinstance(stored, StoredObject)
    assert (stored.bucket, stored.key, stored.version, stored.etag) == (STORED.bucket, STORED.key, None, STORED.etag)


def test_options_in_csv_are_read_from_strings() -> None:
    """An empty string means that the option is not given, and a wrong word is refused as in JSON."""
    fields = {
        "inputs": "a",
        "normalize": "FALSE",
        "truncate": "true",
        "dimensions": "64",
        "use_cache": "",
        "prompt_name": "",
        "lang": "1",
    }
    (record,) = found(fields)
    assert isinstance(record, Record)
    assert record.options == Options(normalize=False, truncate=True, dimensions=64)
    assert record.metadata == {"lang": "1"}
    for name, value in {"truncate": "yes", "dimensions": "6" * 5000}.items():
        (failure,) = found({"inputs": "a", name: value})
        assert isinstance(failure, Failure)
        assert failure.error.startswith(f"`{name}` must be ")


REFUSED: dict[str, tuple[object, str, str]] = {
    "not JSON": ("{not JSON", "Validation", "The message begins like a JSON object, but is not JSON"),
    "a list of records": (
        [{"id": "a", "inputs": "It rained."}, {"id": "b", "inputs": "All day."}],
        "Validation",
        "A message must hold one text or one record. Given: a JSON list of 2. Send one message for each",
    ),
    "a list of texts": (
        '["It rained."]',
        "Validation",
        "A message must hold one text or one record. Given: a JSON list of 1. Send one message for each",
    ),
    "no text": ({"id": "a"}, "Empty", "`inputs` is missing"),
    "null": ({"inputs": None}, "Empty", "`inputs` is missing"),
    "an empty text": ({"inputs": " \n"}, "Empty", "`inputs` cannot be empty"),
    "an empty body": ("", "Empty", "`inputs` cannot be empty"),
    "two texts": ({"inputs": ["a", "b"]}, "Validation", "`inputs` must be a string. Given: a list"),
    "an object for an id": ({"id": {}, "inputs": "a"}, "Validation", "`id` must be a string or a number. Given: an object"),
    "an option of a wrong type": (
        {"inputs": "a", "truncate": 3},
        "Validation",
        "`truncate` must be true or false, `NONE`, `START` or `END`. Given: 3",
    ),
    "a text of 2 MB": (
        {"inputs": "a" * 2_000_000},
        "Validation",
        f"`inputs` has 2000000 characters > {LONGEST_TEXT}, the most of one record",
    ),
    "half a notification": (
        {"Records": [{"eventSource": "aws:s3"}]},
        "Validation",
        "The record looks like one of another service, but some of that service's fields are missing or have other types",
    ),
    "half a continuation": (
        {"continuation": {"bucket": "b", "key": "k", "version": None, "etag": None, "offset": -1}},
        "Validation",
        "`continuation` must have bucket, key, version, etag and offset",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_without_a_record_is_a_permanent_failure_with_its_reason(name: str) -> None:
    """An exception would make the source retry its neighbours, too."""
    body, kind, reason = REFUSED[name]
    (failure,) = found(body)
    assert isinstance(failure, Failure)
    assert (failure.error_type, failure.error, failure.transient, failure.origin.message) == (kind, reason, False, "m")


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda value: json.dumps({**SNS, "Message": value})))
def test_no_body_raises(body: str) -> None:
    """Every body gives a record, an object, a failure or nothing to do."""
    assert all(isinstance(one, Record | Failure | Skipped | StoredObject) for one in found(body))


def test_fields_that_are_no_options_become_metadata() -> None:
    """Options change the vector; metadata is stored with it."""
    (record,) = found({"id": "a", "inputs": "b", "truncate": False, "dimensions": 2, "page": 7})
    assert isinstance(record, Record)
    assert (record.options.truncate, record.options.dimensions, record.metadata) == (False, 2, {"page": 7})


def test_a_test_event_of_s3_and_our_own_events_are_skipped() -> None:
    """So are reports of objects whose content did not change."""
    own = EVENTS["eventbridge"] | {"source": "embeddings-on-lambda"}
    gone = json.loads(json.dumps(EVENTS["s3"]).replace("ObjectCreated:Put", "ObjectTagging:Put"))
    assert [[one.reason for one in found(body) if isinstance(one, Skipped)] for body in (EVENTS["s3_test"], own, gone)] == [
        ["test"],
        ["ours"],
        ["deleted"],
    ]


@pytest.mark.parametrize("name", ["s3", "s3_eventbridge"])
def test_the_empty_object_of_a_folder_is_skipped_and_any_other_is_read(name: str) -> None:
    """The console of S3 makes one for each new folder. It holds no record, and is no failure."""
    event = json.dumps(EVENTS[name]).replace("passages.jsonl", "passages/")
    (skipped,) = found(event.replace('"size": 170', '"size": 0'))
    assert isinstance(skipped, Skipped)
    assert skipped.id == "s3://documents/in/two passages/"
    (read,) = found(event)
    assert isinstance(read, StoredObject)


@pytest.mark.parametrize(
    "envelope",
    [
        EVENTS["eventbridge"] | {"source": "embeddings-on-lambda"},
        EVENTS["s3_eventbridge"],
        EVENTS["s3"],
    ],
    ids=["ours", "S3 by EventBridge", "S3"],
)
def test_a_name_of_an_event_that_its_sender_made_up_is_not_logged(
    envelope: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Any sender can make a message look like another service's event."""
    body = json.loads(json.dumps(envelope))
    if "Records" in body:
        body["Records"][0]["eventName"] = "My secret diary of today"
    else:
        body["detail-type"] = "My secret diary of today"
    (skipped,) = found(body)
    assert isinstance(skipped, Skipped)
    logged = capsys.readouterr().err
    assert "_event_skipped" in logged
    assert "diary" not in logged


def test_the_failure_destination_gets_a_message_without_its_receipt_handle() -> None:
    """The handle is useless there."""
    first, *_ = sqs.records(EVENTS["sqs"], "inputs")
    sent = EVENTS["sqs"]["Records"][0]
    assert first.origin.original == {name: value for name, value in sent.items() if name != "receiptHandle"}


def test_only_messages_of_a_fifo_queue_have_groups() -> None:
    """In a standard queue, a message group has no order."""
    groups = [one.origin.group for one in sqs.records(EVENTS["sqs_fifo"], "inputs")]
    assert groups == ["berlin", "berlin", "lima"]
    fair = json.loads(json.dumps(EVENTS["sqs_fifo"]).replace(".fifo", ""))
    assert {one.origin.group for one in sqs.records(fair, "inputs")} == {None}


def test_data_of_a_stream_that_is_not_text_is_a_failure() -> None:
    """The record next to it is read."""
    event = json.loads(json.dumps(EVENTS["kinesis"]))
    event["Records"][0]["kinesis"]["data"] = base64.b64encode(b"\xff\xfe").decode()
    first, second = kinesis.records(event, "inputs")
    assert isinstance(first, Failure)
    assert first.error == "The record's data is not text in UTF-8"
    assert isinstance(second, Record)
    assert second.id == "weather-2"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("12345678901234567890123", "12345678901234567890123"),
        ("0.12345678901234567891", "0.12345678901234567891"),
        ("1.50", "1.5"),
    ],
)
def test_an_id_that_is_a_number_keeps_its_digits(number: str, name: str) -> None:
    """That holds for messages and for lines of files."""
    body = f'{{"id": {number}, "inputs": "It rained."}}'
    (record,) = found(body)
    assert isinstance(record, Record)
    assert record.id == name
    (read,) = read_file(Held(body.encode()), "jsonl", "inputs")
    assert isinstance(read.fields, dict)
    assert str(read.fields["id"]) == name


@pytest.mark.parametrize("number", ["1E+400", "1E+99999999999999999999999"])
def test_an_id_larger_than_every_float_is_kept_as_it_was_written(number: str) -> None:
    """Written in full, the second would have a sextillion digits."""
    (record,) = found(f'{{"id": {number}, "inputs": "It rained."}}')
    assert isinstance(record, Record)
    assert record.id == number


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_an_id_that_is_not_a_finite_number_is_refused(number: str) -> None:
    """All such ids would become one."""
    (failure,) = found(f'{{"id": {number}, "inputs": "It rained."}}')
    assert isinstance(failure, Failure)
    assert failure.error == "`id` must be a finite number or a string"


def test_an_item_of_a_map_without_an_id_is_named_by_its_content() -> None:
    """A repeat then writes the same key."""
    (one,), (same,), (other,) = (
        distributed_map.records({"Items": [{"inputs": text}]}, "inputs", use_cache=cached)
        for text, cached in (("a", True), ("a", False), ("b", True))
    )
    assert isinstance(one, Record)
    assert isinstance(same, Record)
    assert isinstance(other, Record)
    assert one.id == same.id != other.id


def test_an_item_with_an_empty_use_cache_follows_its_batch() -> None:
    """In CSV, a column that one item needs is empty for the others."""
    items = [{"inputs": "a", "use_cache": word} for word in ("", "true")]
    use_cache = [
        one.options.use_cache
        for one in distributed_map.records({"Items": items}, "inputs", use_cache=False)
        if isinstance(one, Record)
    ]
    assert use_cache == [False, True]


PRIVATE = "Nobody's business but my own."
ENVELOPE = {"account": "1", "region": "r", "time": "t", "detail": {"object": {"key": "k"}, "bucket": {"name": "b"}}}


@pytest.mark.parametrize(
    "body",
    [
        ENVELOPE | {"source": "aws.s3", "detail-type": PRIVATE},
        ENVELOPE | {"source": "aws.s3", "detail-type": [PRIVATE]},
        ENVELOPE | {"source": "embeddings-on-lambda", "detail-type": PRIVATE},
        {"Records": [{"eventSource": "aws:s3", "eventName": PRIVATE, "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]},
    ],
)
def test_no_text_in_the_place_of_an_event_s_name_is_logged(body: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A message can look like an event of S3 and have any text there."""
    (content,) = parse_message(json.dumps(body), "default", Origin("m"), "inputs")
    assert isinstance(content, Skipped)
    logged = capsys.readouterr().err
    assert "skipped" in logged
    assert PRIVATE not in logged


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"])
def test_a_report_of_a_deleted_object_names_it_with_its_sequencer(name: str) -> None:
    """Whether the object is a document, whose vectors must be deleted, is decided later."""
    event = json.loads(json.dumps(EVENTS["s3"]).replace("ObjectCreated:Put", name))
    (stored,) = found(event)
    assert isinstance(stored, StoredObject)
    assert (stored.is_deleted, stored.sequencer) == (True, event["Records"][0]["s3"]["object"]["sequencer"])


def test_a_report_of_a_deleted_object_through_eventbridge_names_it_too() -> None:
    """The sequencer is in the event's detail."""
    (stored,) = found(EVENTS["s3_eventbridge"] | {"detail-type": "Object Deleted"})
    assert isinstance(stored, StoredObject)
    assert (stored.is_deleted, stored.sequencer) == (True, EVENTS["s3_eventbridge"]["detail"]["object"]["sequencer"])


def test_the_name_of_a_skipped_event_of_s3_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Only names from a fixed list are logged."""
    assert list(
        parse_message(
            json.dumps(ENVELOPE | {"source": "aws.s3", "detail-type": "Object Tags Added"}), "default", Origin("m"), "inputs"
        )
    )
    assert json.loads(capsys.readouterr().err) == {"event": "object_event_skipped", "kind": "Object Tags"}
