"""DynamoDB Streams: one attribute of a new or changed item is the text. The stream is read again from the earliest failure.

Only a changed text is embedded, so writing a vector back into its item starts nothing new. If an item or its text is deleted, its
vector is deleted too, if the sink can delete.

IAM: dynamodb:GetRecords, dynamodb:GetShardIterator, dynamodb:DescribeStream, dynamodb:ListStreams on the stream, whose view must be
NEW_AND_OLD_IMAGES.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Deleted, Failure, Item, Origin, Record, Skipped
from handler.sources.envelopes import only_from
from handler.sources.exact_numbers import to_exact
from handler.sources.isolation import find_text, isolate
from handler.sources.record_parsing import add_metadata, parse_record

VIEW = "NEW_AND_OLD_IMAGES"
STREAM = r"(?P<table>arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[\w.-]+)/stream/.+"
TEXT = "S"
"""The only type of attribute that holds a text."""

type Attributes = Mapping[str, Mapping[str, Any]]


def matches(event: object) -> bool:
    """Return whether an event is a batch of changes to a table's items."""
    return only_from(event, "eventSource", "aws:dynamodb")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield one content for each change."""
    for record in event["Records"]:
        name = find_text(record, "dynamodb", "SequenceNumber")
        yield from isolate(partial(_parse, record, text_field, name), name, Origin(name, record))


def _parse(record: Mapping[str, Any], text_field: str, name: str) -> list[Content]:
    return [parse_change(record, text_field, name)]


def parse_change(record: Mapping[str, Any], text_field: str, name: str | int) -> Content:
    """Return the record of one change, or the content that it has instead of a text. `name` is the source's name for the change.

    Raises:
        Exception: the change is not as DynamoDB writes it.
    """
    stream = record["dynamodb"]
    key: Attributes = stream["Keys"]
    default_id, origin = make_id(key), Origin(name, record)
    if record["eventName"] == "REMOVE":
        return Deleted(default_id, "deleted", origin)
    if stream.get("StreamViewType") != VIEW:
        msg = f"The table's stream must have the view {VIEW}: without old images, it is unknown whether the text changed"
        return Failure.of(Validation(msg), default_id, origin)
    new, old = stream["NewImage"], stream.get("OldImage", {})
    if text_field in old and old[text_field] == new.get(text_field):
        return Skipped(default_id, "unchanged", origin)
    if text_field not in new:
        return (Deleted if text_field in old else Skipped)(default_id, "no text", origin)
    keys = {field: to_botocore(value) for field, value in key.items()}
    item = Item(find_table(record["eventSourceARN"]), keys, text_field)
    return _parse_item(new, item, default_id, replace(origin, item=item))


def _parse_item(new: Attributes, item: Item, default_id: str, origin: Origin) -> Record | Failure:
    """Make a record of an item's text. All other attributes are metadata: none of them is an option of the embedding."""
    ((kind, text),) = new[item.text_field].items()
    if kind != TEXT:
        given = TYPES.get(kind, "a type that DynamoDB does not have")
        return Failure.of(Validation(f"The attribute `{item.text_field}` must be a string. Given: {given}"), default_id, origin)
    record = parse_record({item.text_field: text}, default_id, origin, item.text_field)
    if not isinstance(record, Record):
        return record
    metadata = {field: to_plain(value) for field, value in new.items() if field not in {*item.keys, item.text_field}}
    return add_metadata(record, metadata)


def make_id(key: Attributes) -> str:
    """Return an item's id: the value of its key, or, if the key has two attributes, both of them as JSON."""
    values = {field: to_plain(value) for field, value in key.items()}
    first, *others = values.values()
    return str(first) if not others else json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)


def to_plain(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return an attribute's value without DynamoDB's type. Binary values stay base64."""
    ((kind, content),) = value.items()
    return PLAIN[kind](content)


def to_botocore(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an attribute of a key as botocore expects it. Binary values are decoded, because botocore encodes them itself.

    Raises:
        ValueError: a binary value is not base64.
    """
    return {"B": base64.b64decode(value["B"], validate=True)} if "B" in value else value


TYPES = {
    "N": "a number",
    "B": "a binary value",
    "BOOL": "a boolean",
    "NULL": "null",
    "SS": "a set of strings",
    "NS": "a set of numbers",
    "BS": "a set of binary values",
    "L": "a list",
    "M": "a map",
}
"""The types of attributes that hold no text, as a sentence names them."""
PLAIN: dict[str, Any] = {
    "S": str,
    "B": str,
    "N": to_exact,
    "BOOL": bool,
    "NULL": lambda _: None,
    "SS": list,
    "BS": list,
    "NS": lambda numbers: [to_exact(number) for number in numbers],
    "L": lambda values: [to_plain(value) for value in values],
    "M": lambda values: {field: to_plain(value) for field, value in values.items()},
}
"""The function that turns the content of each type into a value of JSON."""


def find_table(stream: str) -> str:
    """Return the ARN of the table in the ARN of its stream.

    Raises:
        ValueError: this is not the ARN of a table's stream.
    """
    if not (match := re.fullmatch(STREAM, stream)):
        raise ValueError
    return match["table"]
