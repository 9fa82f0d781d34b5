"""A change of a table's item gives a record, a deletion, or a failure with its reason; every digit of its numbers is kept."""

import json
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.records import Deleted, Failure, Record, Skipped
from handler.sources import dynamodb
from handler.sources.exact_numbers import to_exact
from tests.handler.known_events import EVENTS


def test_only_a_changed_text_of_a_table_is_embedded() -> None:
    """Of a new, a changed, an unchanged and a deleted text, the first two are embedded."""
    new, changed, same, gone = dynamodb.records(EVENTS["dynamodb"], "inputs")
    assert isinstance(new, Record)
    assert isinstance(changed, Record)
    assert (new.id, new.text, new.metadata) == ("weather-1", "Today is a sunny day and I will get some ice cream.", {"likes": 3})
    assert changed.origin.item is not None
    assert (changed.origin.item.table, changed.origin.item.keys) == (
        "arn:aws:dynamodb:us-east-1:123456789012:table/documents",
        {"pk": {"S": "weather-2"}},
    )
    assert (same, gone) == (Skipped("weather-3", "unchanged", same.origin), Deleted("weather-4", "deleted", gone.origin))


def test_an_item_that_loses_its_text_counts_as_deleted() -> None:
    """An item that never had a text is skipped."""
    event = json.loads(json.dumps(EVENTS["dynamodb"]))
    lost, never = event["Records"][1], event["Records"][0]
    del lost["dynamodb"]["NewImage"]["inputs"], never["dynamodb"]["NewImage"]["inputs"]
    without, neither = (dynamodb.parse_change(record, "inputs", "n") for record in (lost, never))
    assert without == Deleted("weather-2", "no text", without.origin)
    assert neither == Skipped("weather-1", "no text", neither.origin)


def test_a_stream_without_old_images_is_refused() -> None:
    """Without them, a vector that was written back would look like a changed text."""
    event = json.loads(json.dumps(EVENTS["dynamodb"]).replace("NEW_AND_OLD_IMAGES", "NEW_IMAGE"))
    first, *_ = dynamodb.records(event, "inputs")
    assert isinstance(first, Failure)
    assert (
        first.error
        == "The table's stream must have the view NEW_AND_OLD_IMAGES: without old images, it is unknown whether the text changed"
    )


def test_a_text_that_is_the_key_of_its_item_is_embedded() -> None:
    """The key is left out of the metadata, the text is not left out of the record."""
    event = json.loads(json.dumps(EVENTS["dynamodb"]))
    change = event["Records"][0]["dynamodb"]
    change["Keys"] = {"inputs": change["NewImage"]["inputs"]}
    first, *_ = dynamodb.records(event, "inputs")
    assert isinstance(first, Record)
    assert first.id == first.text == change["NewImage"]["inputs"]["S"]
    assert "inputs" not in first.metadata


NO_TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "binary": ({"B": "SXQgcmFpbmVkLg=="}, "a binary value"),
    "number": ({"N": "7"}, "a number"),
    "null": ({"NULL": True}, "null"),
    "list": ({"L": [{"S": "It rained."}]}, "a list"),
    "map": ({"M": {"S": {"S": "It rained."}}}, "a map"),
    "set": ({"SS": ["It rained."]}, "a set of strings"),
    "unknown": ({"X": "It rained."}, "a type that DynamoDB does not have"),
}


@pytest.mark.parametrize("name", NO_TEXTS)
def test_an_attribute_that_is_not_a_string_is_a_permanent_failure(name: str) -> None:
    """A binary value must not be embedded as the base64 of Lambda's event."""
    value, given = NO_TEXTS[name]
    event = json.loads(json.dumps(EVENTS["dynamodb"]))
    event["Records"][0]["dynamodb"]["NewImage"]["inputs"] = value
    failure, neighbour, *_ = dynamodb.records(event, "inputs")
    assert isinstance(failure, Failure)
    assert (failure.id, failure.transient, failure.error) == (
        "weather-1",
        False,
        f"The attribute `inputs` must be a string. Given: {given}",
    )
    assert isinstance(neighbour, Record)


def test_keys_that_differ_in_any_of_38_digits_are_different_ids() -> None:
    """A float would make them one id, with one vector."""
    texts = ["1.0000000000000000001", "1.0000000000000000002", "10000000000000000000.1", "1", "0.1"]
    ids = [dynamodb.make_id({"pk": {"N": text}}) for text in [*texts, "1E19", "1E-130"]]
    assert ids[: len(texts)] == texts
    assert len(set(ids)) == len(ids)
    assert dynamodb.make_id({"a": {"N": texts[0]}, "b": {"S": "c"}}) == '{"a": "1.0000000000000000001", "b": "c"}'


@given(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-125, 80),
)
def test_every_digit_of_a_number_is_kept(one: int, other: int, exponent: int) -> None:
    """Two different numbers never become one."""
    first, second = (to_exact(f"{digits}E{exponent}") for digits in (one, other))
    with localcontext(prec=300):
        assert Decimal(str(first)) == Decimal(one).scaleb(exponent)
        assert Decimal(str(second)) == Decimal(other).scaleb(exponent)
    assert (first == second) == (one == other)


def test_every_type_of_attribute_becomes_json() -> None:
    """Sinks store metadata as JSON."""
    value = {
        "M": {
            "n": {"N": "1.5"},
            "l": {"L": [{"N": "2"}, {"NULL": True}, {"BOOL": False}]},
            "s": {"SS": ["a"]},
            "ns": {"NS": ["1"]},
            "b": {"B": "AA=="},
        }
    }
    assert dynamodb.to_plain(value) == {"n": 1.5, "l": [2, None, False], "s": ["a"], "ns": [1], "b": "AA=="}
    assert dynamodb.make_id({"pk": {"S": "a"}, "sk": {"N": "1"}}) == '{"pk": "a", "sk": 1}'
