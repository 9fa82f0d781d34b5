"""SQS: messages with a plain text, a record, or an envelope in them; what is left over goes back by `batchItemFailures`.

IAM: sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes on the queue; sqs:ChangeMessageVisibility for visibility.py.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from handler.kinds import Event
from handler.records import Content, Failure, Origin
from handler.sources.guarded import guarded, text_in
from handler.sources.reading import contents
from handler.sources.replies import Partial, items, of_one_kind


def matches(event: object) -> bool:
    """Whether these are messages of a queue."""
    return of_one_kind(event, "eventSource", "aws:sqs")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """What the messages hold. Those of a FIFO queue's group are one after the other."""
    for message in event["Records"]:
        origin = origin_of(message)
        yield from guarded(partial(_contents, message, origin, text_field), str(origin.message), origin)


def _contents(message: dict[str, Any], origin: Origin, text_field: str) -> Iterator[Content]:
    return contents(message["body"], str(origin.message), origin, text_field)


def origin_of(message: dict[str, Any]) -> Origin:
    """A message's name and group, and the message as the failure destination gets it: its handle is of no use there."""
    original = {name: value for name, value in message.items() if name != "receiptHandle"}
    fifo = text_in(message, "eventSourceARN").endswith(".fifo")
    return Origin(text_in(message, "messageId"), original, text_in(message, "attributes", "MessageGroupId") if fifo else None)


def reply(back: Sequence[Failure]) -> Partial:
    """The messages that are to come again."""
    return items(dict.fromkeys(failure.origin.message for failure in back))
