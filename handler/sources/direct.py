"""Plain invocations: `{"inputs": …}` and `{"records": […]}`, which a state machine's Task sends too.

IAM: none of the function's own; who invokes it needs lambda:InvokeFunction.
"""

from collections.abc import Iterator
from typing import Any

from handler.errors import Validation, kind
from handler.records import Content, Origin
from handler.sources.reading import record_of

MARKS = frozenset({"Records", "Items", "detail-type", "requestContext", "eventSource", "deliveryStreamArn"})
"""Of events of other kinds, whatever fields they have beside."""


def matches(event: object) -> bool:
    """Whether this is a plain invocation."""
    return isinstance(event, dict) and ("inputs" in event or "records" in event) and MARKS.isdisjoint(event)


def records(event: Any, text_field: str) -> Iterator[Content]:  # noqa: ANN401 - whatever was sent
    """One content for each of `records`; one without an `id` is named by its place.

    Raises:
        Validation: they are no list.
    """
    found = event["records"]
    if not isinstance(found, list):
        msg = f"`records` must be a list. Given: {kind(found)}"
        raise Validation(msg)
    return (record_of(fields, str(place), Origin(place, fields), text_field) for place, fields in enumerate(found))
