"""DynamoDB items get the vector of the text that they have, and of no other."""

from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from events.aws import LocalAWS
from handler.records import Item, Origin
from handler.sinks import sink_from
from tests.handler.sinks.results import result


def of(table: str, *, key: str = "pk") -> Origin:
    """The origin of a text in that table's item."""
    return Origin("1", item=Item(table, {key: {"S": "1"}}, "text"))


@pytest.fixture
def table(aws: LocalAWS) -> tuple[Any, str]:
    """A client, and a table with one item."""
    client, name = aws.client("dynamodb"), f"items-{uuid4().hex}"
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName=name, Item={"pk": {"S": "1"}, "text": {"S": "Some text."}, "other": {"N": "1"}})
    return client, name


def item(client: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - botocore's
    """The item as it is now."""
    found: dict[str, Any] = client.get_item(TableName=name, Key={"pk": {"S": "1"}}, ConsistentRead=True).get("Item", {})
    return found


@pytest.mark.parametrize("times", [1, 2])
def test_the_vector_is_written_beside_the_text(table: tuple[Any, str], times: int) -> None:
    """Once or twice, it is the same."""
    client, name = table
    written = result("1", origin=of(name))
    for _ in range(times):
        assert sink_from("dynamodb://embedding").write([written]) == []
    kept = item(client, name)
    assert [np.float32(number["N"]) for number in kept.pop("embedding")["L"]] == list(written.vector)
    assert kept == {"pk": {"S": "1"}, "text": {"S": "Some text."}, "other": {"N": "1"}}


def test_a_binary_vector_is_its_float32(table: tuple[Any, str]) -> None:
    """Little-endian."""
    client, name = table
    written = result("1", origin=of(name))
    assert sink_from("dynamodb://embedding?format=binary").write([written]) == []
    assert item(client, name)["embedding"]["B"] == written.vector.tobytes()


def test_where_the_text_has_changed_nothing_is_written_and_nothing_failed(table: tuple[Any, str]) -> None:
    """An event about the newer text is under way."""
    client, name = table
    late = result("1", text="An older text.", origin=of(name))
    assert sink_from("dynamodb://embedding").write([late]) == []
    assert "embedding" not in item(client, name)


def test_an_item_that_is_gone_does_not_come_back(table: tuple[Any, str]) -> None:
    """UpdateItem alone would make it anew."""
    client, name = table
    client.delete_item(TableName=name, Key={"pk": {"S": "1"}})
    assert sink_from("dynamodb://embedding").write([result("1", origin=of(name))]) == []
    assert item(client, name) == {}


def test_the_text_is_never_overwritten(table: tuple[Any, str]) -> None:
    """That would be a loop."""
    client, name = table
    (failure,) = sink_from("dynamodb://text").write([result("1", origin=of(name))])
    assert (failure.transient, failure.error) == (False, "The attribute text has the text; the vector needs another")
    assert item(client, name)["text"] == {"S": "Some text."}


def test_each_failure_is_its_own_items(table: tuple[Any, str]) -> None:
    """A table that is not there may come; an item that does not take the vector will not."""
    client, name = table
    failures = sink_from("dynamodb://embedding").write(
        [
            result("gone", origin=of("no-such-table")),
            result("fine", origin=of(name)),
            result("wrong", origin=of(name, key="no key")),
            result("queue", origin=Origin("a message's handle")),
        ]
    )
    assert [(failure.id, failure.transient) for failure in failures] == [("gone", True), ("wrong", False), ("queue", True)]
    assert "embedding" in item(client, name)
