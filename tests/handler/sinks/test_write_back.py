"""An item of DynamoDB gets the vector of its present text, and no other vector."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import botocore.session
import numpy as np
import pytest

from events.aws import REGION, LocalAWS
from handler.records import Item, Origin, Record
from handler.sinks import sink_from
from handler.sources import dynamodb
from tests.handler.sinks.results import result

ACCOUNT = "123456789012"
KEY = {"S": "1"}


def of(table: str, *, name: str = "pk", key: Mapping[str, Any] = KEY, region: str = REGION) -> Origin:
    """Make the origin of a text that comes from an item of a table."""
    return Origin("1", item=Item(f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{table}", {name: key}, "text"))


def new_table(client: Any, key: str = "S") -> str:  # noqa: ANN401 - botocore's
    """Make a table whose key has this type; return its name."""
    name = f"items-{uuid4().hex}"
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": key}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def table(aws: LocalAWS) -> tuple[Any, str]:
    """A client, and the name of a table with one item."""
    client = aws.client("dynamodb")
    name = new_table(client)
    client.put_item(TableName=name, Item={"pk": {"S": "1"}, "text": {"S": "Some text."}, "other": {"N": "1"}})
    return client, name


def item(client: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - botocore's
    """Return the item in its present state."""
    found: dict[str, Any] = client.get_item(TableName=name, Key={"pk": {"S": "1"}}, ConsistentRead=True).get("Item", {})
    return found


@pytest.mark.parametrize("times", [1, 2])
def test_the_vector_is_written_into_the_item_of_its_text(table: tuple[Any, str], times: int) -> None:
    """A repeat changes nothing."""
    client, name = table
    written = result("1", origin=of(name))
    for _ in range(times):
        assert sink_from("dynamodb://embedding").write([written]) == []
    kept = item(client, name)
    assert [np.float32(number["N"]) for number in kept.pop("embedding")["L"]] == list(written.vector)
    assert kept == {"pk": {"S": "1"}, "text": {"S": "Some text."}, "other": {"N": "1"}}


def test_a_binary_vector_has_the_bytes_of_its_float32(table: tuple[Any, str]) -> None:
    """The bytes are little-endian."""
    client, name = table
    written = result("1", origin=of(name))
    assert sink_from("dynamodb://embedding?format=binary").write([written]) == []
    assert item(client, name)["embedding"]["B"] == written.vector.tobytes()


def test_a_vector_whose_text_has_changed_is_not_written_and_is_no_failure(
    table: tuple[Any, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An event about the newer text is on its way."""
    client, name = table
    late = result("1", text="An older text.", origin=of(name))
    assert sink_from("dynamodb://embedding").write([late]) == []
    assert "embedding" not in item(client, name)
    assert logged(capsys) == [{"event": "vector_not_written_back", "reason": "text_changed"}]


def test_a_deleted_item_is_not_created_again_and_the_log_says_that_it_was_deleted(
    table: tuple[Any, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a condition, UpdateItem would create it."""
    client, name = table
    client.delete_item(TableName=name, Key={"pk": KEY})
    assert sink_from("dynamodb://embedding").write([result("1", origin=of(name))]) == []
    assert item(client, name) == {}
    assert logged(capsys) == [{"event": "vector_not_written_back", "reason": "item_deleted"}]


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines that the sink has logged."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


def test_an_item_of_another_region_is_written_there(aws: LocalAWS) -> None:
    """The table's ARN names its region, and a pipe can read from another region."""
    session = botocore.session.get_session()
    session.set_credentials("local", "local")
    client = session.create_client("dynamodb", "eu-west-1", endpoint_url=aws.endpoint)
    name = new_table(client)
    client.put_item(TableName=name, Item={"pk": KEY, "text": {"S": "Some text."}})
    assert sink_from("dynamodb://embedding").write([result("1", origin=of(name, region="eu-west-1"))]) == []
    assert "embedding" in item(client, name)


@pytest.mark.parametrize(
    ("type_of_key", "key"),
    [("B", {"B": b"\x00\xff~key"}), ("N", {"N": "12345678901234567890123456789012345678"}), ("S", {"S": "ä"})],
    ids=["binary", "number", "string"],
)
def test_a_change_of_an_item_with_any_type_of_key_is_written_back(aws: LocalAWS, type_of_key: str, key: dict[str, Any]) -> None:
    """Lambda encodes binary keys as base64. If botocore encoded them again, the item would not be found."""
    client = aws.client("dynamodb")
    name = new_table(client, type_of_key)
    client.put_item(TableName=name, Item={"pk": key, "text": {"S": "Some text."}})
    in_event = {"B": base64.b64encode(key["B"]).decode()} if "B" in key else key
    change = {
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}/stream/2026-11-21T14:00:00.000",
        "dynamodb": {
            "SequenceNumber": "1",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "Keys": {"pk": in_event},
            "NewImage": {"pk": in_event, "text": {"S": "Some text."}},
        },
    }
    (record,) = dynamodb.records({"Records": [change]}, "text")
    assert isinstance(record, Record)
    assert sink_from("dynamodb://embedding").write([result(record.id, origin=record.origin)]) == []
    assert "embedding" in client.get_item(TableName=name, Key={"pk": key}, ConsistentRead=True)["Item"]


def test_the_text_is_never_overwritten(table: tuple[Any, str]) -> None:
    """Each change of the text starts the function again, which would be a loop."""
    client, name = table
    (failure,) = sink_from("dynamodb://text").write([result("1", origin=of(name))])
    assert (failure.transient, failure.error) == (False, "The attribute text holds the text; the vector needs another attribute")
    assert item(client, name)["text"] == {"S": "Some text."}


def test_each_item_fails_alone(table: tuple[Any, str]) -> None:
    """A missing table may be created later. An item that refuses the vector will always refuse it."""
    client, name = table
    failures = sink_from("dynamodb://embedding").write(
        [
            result("gone", origin=of("no-such-table")),
            result("fine", origin=of(name)),
            result("wrong", origin=of(name, name="no key")),
            result("no key", origin=of(name, key={"S": 3})),
            result("queue", origin=Origin("a message's handle")),
        ]
    )
    assert [(failure.id, failure.transient) for failure in failures] == [
        ("gone", True),
        ("wrong", False),
        ("no key", False),
        ("queue", True),
    ]
    assert "embedding" in item(client, name)
