"""Plain invocations: `{"inputs": …}`, `{"records": […]}` and Amazon Bedrock's bodies, also from a Task of a state machine.

IAM: the function needs no right; the caller needs lambda:InvokeFunction.
"""

from collections.abc import Iterator
from typing import Any

from handler.errors import Validation, kind
from handler.records import Content, Origin
from handler.sources.record_parsing import parse_record

FIELDS_OF_OTHERS = frozenset({"Records", "Items", "detail-type", "requestContext", "eventSource", "deliveryStreamArn"})
"""An event with one of these fields is of another kind, whatever other fields it has."""

FIELDS = frozenset({"inputs", "records", "inputText", "texts"})
"""One of them makes an event a plain invocation; the last two are those of Amazon Bedrock's bodies."""


def matches(event: object) -> bool:
    """Return whether this is a plain invocation."""
    return isinstance(event, dict) and not FIELDS.isdisjoint(event) and FIELDS_OF_OTHERS.isdisjoint(event)


def records(event: Any, text_field: str) -> Iterator[Content]:  # noqa: ANN401 - whatever was sent
    """Yield one content for each of `records`. A record without an `id` gets its position.

    Raises:
        Validation: `records` is not a list.
    """
    found = event["records"]
    if not isinstance(found, list):
        msg = f"`records` must be a list. Given: {kind(found)}"
        raise Validation(msg)
    return (parse_record(fields, str(position), Origin(position, fields), text_field) for position, fields in enumerate(found))
