"""SQS: messages with a plain text, a record, or an envelope in them; what is left over goes back by `batchItemFailures`.

IAM: sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes on the queue.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from handler.records import Content, Failure, Origin
from handler.sources.reading import contents
from handler.sources.replies import Partial, items, of_one_kind

NAME = "SQS"


def matches(event: object) -> bool:
    """Whether these are messages of a queue."""
    return of_one_kind(event, "eventSource", "aws:sqs")


def records(event: Any, text_field: str) -> Iterator[Content]:  # noqa: ANN401 - Lambda's own type
    """What the messages hold. Those of a FIFO queue's group are one after the other."""
    for message in event["Records"]:
        yield from contents(message["body"], message["messageId"], origin_of(message), text_field)


def origin_of(message: dict[str, Any]) -> Origin:
    """A message's name and group, and the message as the failure destination gets it: its handle is of no use there."""
    original = {name: value for name, value in message.items() if name != "receiptHandle"}
    fifo = message.get("eventSourceARN", "").endswith(".fifo")
    return Origin(message["messageId"], original, message["attributes"]["MessageGroupId"] if fifo else None)


def reply(back: Sequence[Failure]) -> Partial:
    """The messages that are to come again."""
    return items(dict.fromkeys(failure.origin.message for failure in back))
