"""EventBridge Pipes, with this function as enrichment: a list goes in, a list of the same length and order comes out.

A pipe sends messages of SQS, Kinesis, DynamoDB and Kafka as it read them, or the values that its input template makes from them.
Messages of Amazon MQ need such a template.

IAM: the function needs no right; the pipe's role needs lambda:InvokeFunction.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Failure, Origin, Skipped, StoredObject
from handler.sources import dynamodb, kafka, kinesis, sqs
from handler.sources.envelopes import parse_message
from handler.sources.isolation import find_text, isolate
from handler.sources.record_parsing import parse_record


def matches(event: object) -> bool:
    """Return whether this is a list. No other source sends one."""
    return isinstance(event, list)


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield one content for each element of the list."""
    for position, element in enumerate(event):
        found = isolate(partial(_parse, element, position, text_field), str(position), Origin(position, element))
        yield _only_content(list(found), position, element)


def _parse(element: Any, position: int, text_field: str) -> list[Content]:  # noqa: ANN401 - whatever the pipe sends
    source = element.get("eventSource") if isinstance(element, dict) else None
    parse = ELEMENTS.get(str(source))
    if parse:
        return parse(element, position, text_field)
    if isinstance(element, str):
        return list(parse_message(element, str(position), Origin(position, element), text_field))
    return [parse_record(element, str(position), Origin(position, element), text_field)]


def _only_content(found: list[Content], position: int, element: object) -> Content:
    """Return the only content of an element. An object is refused: it has many lines, and each element must have one result."""
    match found:
        case [content] if not isinstance(content, StoredObject):
            return content
        case [StoredObject(is_deleted=True) as stored]:
            return Skipped(stored.uri, "deleted", Origin(position, element))
    return Failure.of(Validation(SEVERAL), str(position), Origin(position, element))


SEVERAL = (
    "An element of a pipe must hold one record. To embed objects of S3, make their queue an event source of this function, in the "
    "place of the pipe"
)


def _parse_kafka(element: dict[str, Any], position: int, text_field: str) -> list[Content]:
    name = f"{find_text(element, 'eventSourceKey')}:{find_text(element, 'offset')}"
    return list(kafka.parse_value(element, name, Origin(position, element), text_field))


ELEMENTS: dict[str, Callable[[dict[str, Any], int, str], list[Content]]] = {
    "aws:sqs": lambda element, position, text_field: list(
        parse_message(
            element["body"], find_text(element, "messageId"), Origin(position, sqs.origin_of(element).original), text_field
        )
    ),
    "aws:kinesis": lambda element, position, text_field: list(
        kinesis.parse_data(element["data"], find_text(element, "eventID"), Origin(position, element), text_field)
    ),
    "aws:dynamodb": lambda element, position, text_field: [dynamodb.parse_change(element, text_field, position)],
    **dict.fromkeys(kafka.SERVICES, _parse_kafka),
}
"""The parser for the elements of each service."""
