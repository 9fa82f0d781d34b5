"""The failure destination gets every failure with its reason and the original record, however large."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.aws import LocalAWS
from handler.encoding import to_json
from handler.records import Failure, Origin
from handler.sinks import failure_destination_from
from handler.sinks.failures import to_body
from tests.handler.sinks.fake_api import fake_api
from tests.handler.sinks.queues import QUEUE, new_queue, received

HANDLE = Origin("handle")
NO_TEXT = Failure("7", "`inputs` must be a string. It is missing", "Validation", transient=False, origin=HANDLE)
LARGE = "ä" * 1_000_000
"""A text of 2 MB."""


def test_a_queue_gets_the_failure_with_its_record(aws: LocalAWS) -> None:
    """Somebody can then correct the record and send it again."""
    sqs = aws.client("sqs")
    url = new_queue(sqs)
    assert failure_destination_from(url).write([(NO_TEXT, {"id": 7, "title": "no text"})]) == []
    (message,) = received(sqs, url)
    assert json.loads(message["Body"]) == {
        "id": "7",
        "error": "`inputs` must be a string. It is missing",
        "error_type": "Validation",
        "record": {"id": 7, "title": "no text"},
    }


@pytest.mark.parametrize(
    "original",
    [{"id": 7, "inputs": LARGE}, LARGE, LARGE.encode(), "\x00" * 2_000_000, b"\xff" * 2_000_000],
    ids=["fields", "text", "bytes", "escapes", "not UTF-8"],
)
def test_a_record_too_large_for_a_queue_is_truncated_and_the_failure_says_so(aws: LocalAWS, original: Any) -> None:  # noqa: ANN401 - any original
    """The queue gets as much of the record as it accepts. JSON may need six bytes for one."""
    sqs = aws.client("sqs")
    url = new_queue(sqs)
    assert failure_destination_from(url).write([(NO_TEXT, original)]) == []
    (message,) = received(sqs, url)
    recorded = json.loads(message["Body"])
    assert recorded["error"] == NO_TEXT.error
    whole = (
        original
        if isinstance(original, bytes)
        else (original if isinstance(original, str) else to_json(original).decode()).encode()
    )
    if not whole.startswith(b"\xff"):
        assert recorded["note"] == f"truncated to what the failure destination takes: record of {len(whole)} bytes"
    assert 1_040_000 < len(message["Body"].encode()) <= 1024 * 1024


def test_s3_gets_every_record_whole(aws: LocalAWS) -> None:
    """An object may have any size, and a repeat writes the same object."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="failures")
    failed = [(NO_TEXT, {"inputs": LARGE}), (NO_TEXT, "not JSON {"), (NO_TEXT, b"\xff\xfe")]
    for _ in range(2):
        assert failure_destination_from("s3://failures/embed/").write(failed) == []
    (kept,) = s3.list_objects_v2(Bucket="failures")["Contents"]
    assert kept["Key"].startswith("embed/")
    lines = s3.get_object(Bucket="failures", Key=kept["Key"])["Body"].read().splitlines()
    assert [json.loads(line)["record"] for line in lines] == [{"inputs": LARGE}, "not JSON {", "\\xff\\xfe"]


def test_a_failure_that_was_refused_is_retried(aws: LocalAWS) -> None:
    """To record it twice is better than to lose it."""
    del aws
    answer = {"Successful": [{"Id": "1"}], "Failed": [{"Id": "0", "Code": "Busy"}]}
    with fake_api(lambda _: (200, answer)) as api, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", api.endpoint)
        destination = failure_destination_from(QUEUE)
        (failure,) = destination.write([(NO_TEXT, "first"), (NO_TEXT, "second")])
    assert (failure.id, failure.transient, failure.origin) == ("7", True, HANDLE)
    assert failure.error == "`inputs` must be a string. It is missing (and: The queue vectors did not accept it: Busy)"


@pytest.mark.parametrize("most_bytes", [300, 1000, 5000])
def test_a_truncated_record_fits_whatever_its_characters(most_bytes: int) -> None:
    """A character may take one byte of JSON or twelve."""
    for original in ("\x00" * 5000, "😀" * 5000, '"' * 9000, {"a": "\\" * 9000}, "\ud800" * 5000, "\uffff" * 5000):
        body = to_body(NO_TEXT, original, most_bytes)
        assert len(body) <= most_bytes
        assert "note" in json.loads(body)


@pytest.mark.parametrize(
    "character", ["a", "\x00", "😀", "\ud800", "\uffff"], ids=["a", "six-fold", "wide", "half a pair", "escaped"]
)
def test_a_failure_with_the_largest_id_is_recorded(aws: LocalAWS, character: str) -> None:
    """An id may be as long as a message, and JSON may need six bytes for one. A body over the limit would be retried for ever."""
    sqs = aws.client("sqs")
    url = new_queue(sqs)
    text = character * 1_048_576
    failure = Failure(text, f"{text} cannot be read", "Validation", transient=False, origin=HANDLE)
    assert failure_destination_from(url).write([(failure, {"body": text, "other": "😀"})]) == []
    (message,) = received(sqs, url)
    recorded = json.loads(message["Body"])
    assert len(message["Body"].encode()) <= 1024 * 1024
    assert recorded.keys() == {"id", "error", "error_type", "note", "record"}
    for field in ("id", "error"):
        assert 0 < len(recorded[field]) < len(text)
        assert text.startswith(recorded[field])
    size = len(text.encode("utf-8", "surrogatepass"))
    assert f"error of {size + len(' cannot be read')} bytes, id of {size} bytes, record of " in recorded["note"]


@pytest.mark.parametrize("levels", [99, 100, 101, 9_994, 100_000])
def test_a_record_of_any_depth_is_recorded(levels: int) -> None:
    """A RecursionError would fail the whole batch."""
    deep: Any = "innermost"
    for _ in range(levels):
        deep = [deep]
    recorded = json.loads(to_body(NO_TEXT, deep, None))["record"]
    assert str(recorded).count("[") == min(levels, 100)
    assert ("innermost" in str(recorded)) == (levels <= 100)


@given(
    st.text(max_size=3000) | st.integers(0, 2000).map(lambda count: "\x00" * count),
    st.text(max_size=3000),
    st.recursive(
        st.none() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
    st.integers(1000, 5000),
)
def test_no_body_is_larger_than_its_limit(name: str, error: str, original: Any, most_bytes: int) -> None:  # noqa: ANN401 - JSON
    """Every body is JSON."""
    failure = Failure(name, error, "Validation", transient=False, origin=HANDLE)
    body = to_body(failure, original, most_bytes)
    assert len(body) <= most_bytes
    json.loads(body, parse_constant=pytest.fail)
