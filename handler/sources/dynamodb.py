"""DynamoDB Streams: an attribute of a new or changed item is the text; the stream comes again from the first that is left over.

Only a text that changed is embedded, so that writing a vector back into its item starts nothing new. Where an item or its text is
gone, so is its vector, if the sink is one that can delete.

IAM: dynamodb:GetRecords, dynamodb:GetShardIterator, dynamodb:DescribeStream, dynamodb:ListStreams on the stream, whose view must be
NEW_AND_OLD_IMAGES.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from handler.errors import Validation
from handler.records import Content, Failure, Gone, Item, Nothing, Origin, Record
from handler.sources.reading import record_of
from handler.sources.replies import Partial, first_of_stream, of_one_kind

NAME = "DynamoDB Streams"
VIEW = "NEW_AND_OLD_IMAGES"

type Attributes = Mapping[str, Mapping[str, Any]]


def matches(event: object) -> bool:
    """Whether these are changes of a table's items."""
    return of_one_kind(event, "eventSource", "aws:dynamodb")


def records(event: Any, text_field: str) -> Iterator[Content]:  # noqa: ANN401 - Lambda's own type
    """The changed texts."""
    for record in event["Records"]:
        yield change(record, text_field, record["dynamodb"]["SequenceNumber"])


def change(record: Mapping[str, Any], text_field: str, name: str | int) -> Content:
    """What one change is: a text to embed, or none. `name` is how the source calls it."""
    stream = record["dynamodb"]
    key: Attributes = stream["Keys"]
    default_id, origin = item_id(key), Origin(name, record)
    if record["eventName"] == "REMOVE":
        return Gone(default_id, "deleted", origin)
    if stream.get("StreamViewType") != VIEW:
        msg = f"The table's stream must have the view {VIEW}, or a change of the text cannot be told from any other"
        return Failure.of(Validation(msg), default_id, origin)
    new, old = stream["NewImage"], stream.get("OldImage", {})
    if text_field in old and old[text_field] == new.get(text_field):
        return Nothing(default_id, "unchanged", origin)
    if text_field not in new:
        return (Gone if text_field in old else Nothing)(default_id, "no text", origin)
    item = Item(_table(record["eventSourceARN"]), key, text_field)
    # An item's other attributes are its own, none of them says how its text is to be embedded.
    made = record_of({text_field: plain(new[text_field])}, default_id, Origin(name, record, item=item), text_field)
    if not isinstance(made, Record):
        return made
    fields = {field: plain(value) for field, value in new.items() if field not in {*key, text_field}}
    return Record(made.id, made.text, made.options, fields, made.origin)


def item_id(key: Attributes) -> str:
    """An item's key as a name: its value where it is one attribute, else all of them as JSON."""
    values = {field: plain(value) for field, value in key.items()}
    first, *others = values.values()
    return str(first) if not others else json.dumps(values, sort_keys=True, ensure_ascii=False)


def plain(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON holds
    """An attribute's value without DynamoDB's type around it; binary ones stay base64."""
    ((kind, content),) = value.items()
    return PLAIN[kind](content)


def _number(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


PLAIN: dict[str, Any] = {
    "S": str,
    "B": str,
    "N": _number,
    "BOOL": bool,
    "NULL": lambda _: None,
    "SS": list,
    "BS": list,
    "NS": lambda numbers: [_number(number) for number in numbers],
    "L": lambda values: [plain(value) for value in values],
    "M": lambda values: {field: plain(value) for field, value in values.items()},
}


def _table(stream: str) -> str:
    """The table that a stream's ARN names: arn:aws:dynamodb:region:account:table/NAME/stream/time."""
    return stream.split("/")[1]


def reply(back: Sequence[Failure]) -> Partial:
    """The earliest change that is to come again."""
    return first_of_stream(back)
