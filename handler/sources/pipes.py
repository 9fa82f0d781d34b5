"""EventBridge Pipes, as its enrichment: an array in, an array of the same length and order out.

A pipe hands over messages of SQS, Kinesis and DynamoDB as it read them, or whatever its input template makes of them.

IAM: none of the function's own; the pipe's role may invoke it (lambda:InvokeFunction).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Failure, Origin, StoredObject
from handler.sources import dynamodb, kinesis, sqs
from handler.sources.guarded import guarded, text_in
from handler.sources.reading import contents, record_of


def matches(event: object) -> bool:
    """Whether this is an array: no other source sends one."""
    return isinstance(event, list)


def records(event: Event, text_field: str) -> Iterator[Content]:
    """One content for each place of the array."""
    for place, element in enumerate(event):
        found = guarded(partial(_contents, element, place, text_field), str(place), Origin(place, element))
        yield _only(list(found), place, element)


def _contents(element: Any, place: int, text_field: str) -> list[Content]:  # noqa: ANN401 - whatever the pipe sends
    source = element.get("eventSource") if isinstance(element, dict) else None
    read = ELEMENTS.get(str(source))
    if read:
        return read(element, place, text_field)
    if isinstance(element, str):
        return list(contents(element, str(place), Origin(place, element), text_field))
    return [record_of(element, str(place), Origin(place, element), text_field)]


def _only(found: list[Content], place: int, element: object) -> Content:
    """An enrichment has one answer for each element, so it cannot be for an object's many lines."""
    match found:
        case [content] if not isinstance(content, StoredObject):
            return content
    error = Validation("An element of a pipe must hold one record; objects of S3 are for the function as a target")
    return Failure.of(error, str(place), Origin(place, element))


ELEMENTS: dict[str, Callable[[dict[str, Any], int, str], list[Content]]] = {
    "aws:sqs": lambda element, place, text_field: list(
        contents(element["body"], text_in(element, "messageId"), Origin(place, sqs.origin_of(element).original), text_field)
    ),
    "aws:kinesis": lambda element, place, text_field: list(
        kinesis.data(element["data"], text_in(element, "eventID"), Origin(place, element), text_field)
    ),
    "aws:dynamodb": lambda element, place, text_field: [dynamodb.change(element, text_field, place)],
}
