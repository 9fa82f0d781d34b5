"""SQS: each message holds a plain text, a record or an envelope. `batchItemFailures` names the messages to retry.

IAM: sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes on the queue; sqs:ChangeMessageVisibility for
queue_visibility.py.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.envelopes import only_from, parse_message
from handler.sources.isolation import find_text, isolate


def matches(event: object) -> bool:
    """Return whether an event is a batch of messages from a queue."""
    return only_from(event, "eventSource", "aws:sqs")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the contents of all messages. Lambda keeps the messages of a FIFO queue's group in their order."""
    for message in event["Records"]:
        origin = origin_of(message)
        yield from isolate(partial(_parse, message, origin, text_field), str(origin.message), origin)


def _parse(message: dict[str, Any], origin: Origin, text_field: str) -> Iterator[Content]:
    return parse_message(message["body"], str(origin.message), origin, text_field)


def origin_of(message: dict[str, Any]) -> Origin:
    """Return the origin of a message: its id, its FIFO group, and the message without its receipt handle, which expires."""
    original = {name: value for name, value in message.items() if name != "receiptHandle"}
    is_fifo = find_text(message, "eventSourceARN").endswith(".fifo")
    return Origin(
        find_text(message, "messageId"), original, find_text(message, "attributes", "MessageGroupId") if is_fifo else None
    )
