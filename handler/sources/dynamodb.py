"""DynamoDB Streams: an attribute of a new or changed item is the text; the stream comes again from the first that is left over.

Only a text that changed is embedded, so that writing a vector back into its item starts nothing new. Where an item or its text is
gone, so is its vector, if the sink is one that can delete.

IAM: dynamodb:GetRecords, dynamodb:GetShardIterator, dynamodb:DescribeStream, dynamodb:ListStreams on the stream, whose view must be
NEW_AND_OLD_IMAGES.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Deleted, Failure, Item, Origin, Record, Skipped
from handler.sources.guarded import guarded, text_in
from handler.sources.numbers import exact
from handler.sources.reading import record_of, with_metadata
from handler.sources.replies import Partial, first_of_stream, of_one_kind

VIEW = "NEW_AND_OLD_IMAGES"
STREAM = r"(?P<table>arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[\w.-]+)/stream/.+"
TEXT = "S"
"""The one type of attribute that holds a text."""

type Attributes = Mapping[str, Mapping[str, Any]]


def matches(event: object) -> bool:
    """Whether these are changes of a table's items."""
    return of_one_kind(event, "eventSource", "aws:dynamodb")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """The changed texts."""
    for record in event["Records"]:
        name = text_in(record, "dynamodb", "SequenceNumber")
        yield from guarded(partial(_changes, record, text_field, name), name, Origin(name, record))


def _changes(record: Mapping[str, Any], text_field: str, name: str) -> list[Content]:
    return [change(record, text_field, name)]


def change(record: Mapping[str, Any], text_field: str, name: str | int) -> Content:
    """Read one change: a text to embed, or none. `name` is how the source calls it.

    Raises:
        Exception: it is not as DynamoDB writes it.
    """
    stream = record["dynamodb"]
    key: Attributes = stream["Keys"]
    default_id, origin = item_id(key), Origin(name, record)
    if record["eventName"] == "REMOVE":
        return Deleted(default_id, "deleted", origin)
    if stream.get("StreamViewType") != VIEW:
        msg = f"The table's stream must have the view {VIEW}, or a change of the text cannot be told from any other"
        return Failure.of(Validation(msg), default_id, origin)
    new, old = stream["NewImage"], stream.get("OldImage", {})
    if text_field in old and old[text_field] == new.get(text_field):
        return Skipped(default_id, "unchanged", origin)
    if text_field not in new:
        return (Deleted if text_field in old else Skipped)(default_id, "no text", origin)
    item = Item(table_of(record["eventSourceARN"]), {field: native(value) for field, value in key.items()}, text_field)
    return _text_of(new, item, default_id, replace(origin, item=item))


def _text_of(new: Attributes, item: Item, default_id: str, origin: Origin) -> Record | Failure:
    """The text of an item, and its other attributes: those are its own, none of them says how the text is to be embedded."""
    ((kind, text),) = new[item.text_field].items()
    if kind != TEXT:
        given = TYPES.get(kind, "a type that DynamoDB does not have")
        return Failure.of(Validation(f"The attribute `{item.text_field}` must be a string. Given: {given}"), default_id, origin)
    made = record_of({item.text_field: text}, default_id, origin, item.text_field)
    if not isinstance(made, Record):
        return made
    return with_metadata(made, {field: plain(value) for field, value in new.items() if field not in {*item.keys, item.text_field}})


def item_id(key: Attributes) -> str:
    """An item's key as a name: its value where it is one attribute, else all of them as JSON."""
    values = {field: plain(value) for field, value in key.items()}
    first, *others = values.values()
    return str(first) if not others else json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)


def plain(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON holds
    """An attribute's value without DynamoDB's type around it; binary ones stay base64."""
    ((kind, content),) = value.items()
    return PLAIN[kind](content)


def native(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A key's attribute as botocore takes it: Lambda hands binary ones over as base64, which botocore would encode once more.

    Raises:
        ValueError: it is not base64.
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
"""The types that hold no text, as a sentence names them."""
PLAIN: dict[str, Any] = {
    "S": str,
    "B": str,
    "N": exact,
    "BOOL": bool,
    "NULL": lambda _: None,
    "SS": list,
    "BS": list,
    "NS": lambda numbers: [exact(number) for number in numbers],
    "L": lambda values: [plain(value) for value in values],
    "M": lambda values: {field: plain(value) for field, value in values.items()},
}


def table_of(stream: str) -> str:
    """The ARN of the table that a stream's ARN names.

    Raises:
        ValueError: it is not the ARN of a table's stream.
    """
    if not (match := re.fullmatch(STREAM, stream)):
        raise ValueError
    return match["table"]


def reply(back: Sequence[Failure]) -> Partial:
    """The earliest change that is to come again."""
    return first_of_stream(back)
