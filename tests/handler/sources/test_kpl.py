"""Aggregated records are taken apart. The tests write them with Google's Protocol Buffers."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.errors import Validation
from handler.records import Content, Failure, Record
from handler.sources import kinesis, kpl, pipes
from tests.handler.known_events import EVENTS
from tests.handler.sources.aggregation import aggregated, sealed


def found(data: bytes) -> list[Content]:
    """Return the contents of a stream's event whose first record has this data."""
    event = json.loads(json.dumps(EVENTS["kinesis"]))
    event["Records"][0]["kinesis"]["data"] = base64.b64encode(data).decode()
    return list(kinesis.records(event, "inputs"))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_user_records_are_returned_as_they_were_aggregated(parts: list[bytes]) -> None:
    """They keep their order and their bytes."""
    assert kpl.parse_user_records(aggregated(parts)) == parts


def test_a_user_record_is_a_record_like_any_other() -> None:
    """Without an id it is named by its position. To retry it, the stream repeats the whole aggregated record."""
    plain, named, broken, neighbour = found(aggregated([b"It rained.", b'{"id": "a", "inputs": "All day."}', b'{"id": "b"}']))
    record = EVENTS["kinesis"]["Records"][0]
    assert isinstance(plain, Record)
    assert isinstance(named, Record)
    assert isinstance(broken, Failure)
    assert isinstance(neighbour, Record)
    assert (plain.id, plain.text, named.id, named.text) == (f"{record['eventID']}:0", "It rained.", "a", "All day.")
    assert {one.origin.message for one in (plain, named, broken)} == {record["kinesis"]["sequenceNumber"]}
    assert (broken.error, broken.origin.original) == (
        "`inputs` is missing",
        {"aggregated_in": record["eventID"], "place": 2, "data": base64.b64encode(b'{"id": "b"}').decode()},
    )
    assert neighbour.id == "weather-2"


@pytest.mark.parametrize(
    "message",
    [b"\x1a\x05ab", b"\x1a", b"\x1a\x80", b"\xff" * 11, b"\x1b", b"\x09ab", b"\x1a\x02\x1a\x09"],
    ids=["short", "no length", "half a length", "a long number", "a group", "half a number", "short within"],
)
def test_a_message_in_another_format_is_refused(message: bytes) -> None:
    """It is refused as a whole, though its checksum is right."""
    with pytest.raises(Validation, match=r"^The record has the checksum of one that"):
        kpl.parse_user_records(sealed(message))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "but it holds no record"),
        (b"\x0a\x01a", "but it holds no record"),
        (b"\x1a\x02\x08\x00", "but not its format"),
        (b"\x1a\x00", "but not its format"),
    ],
    ids=["nothing at all", "a key alone", "a record without data", "an empty record"],
)
def test_an_aggregated_record_without_data_is_a_failure(message: bytes, reason: str) -> None:
    """It would be lost if it counted as done. The record next to it is read."""
    empty, neighbour = found(sealed(message))
    assert isinstance(empty, Failure)
    assert (empty.transient, empty.error_type) == (False, "Validation")
    assert empty.error.endswith(reason)
    assert isinstance(neighbour, Record)


def test_an_aggregated_record_with_a_wrong_checksum_is_a_failure() -> None:
    """It is not taken for a plain text."""
    damaged, neighbour = found(aggregated([b"It rained."])[:-1] + b"\0")
    assert isinstance(damaged, Failure)
    assert damaged.error == "The record begins like one that the Kinesis Producer Library aggregated, but its checksum is wrong"
    assert damaged.origin.original == EVENTS["kinesis"]["Records"][0] | {"kinesis": damaged.origin.original["kinesis"]}
    assert isinstance(neighbour, Record)


def test_an_element_of_a_pipe_may_hold_only_one_user_record() -> None:
    """An enrichment returns one result for each element."""
    record = EVENTS["kinesis"]["Records"][0]
    elements = [
        {**record["kinesis"], "eventSource": "aws:kinesis", "eventID": "e", "data": base64.b64encode(aggregated(parts)).decode()}
        for parts in ([b"It rained."], [b"It rained.", b"All day."])
    ]
    one, two = pipes.records(elements, "inputs")
    assert isinstance(one, Record)
    assert isinstance(two, Failure)
