"""Lambda's side of an SQS event source: polls, invokes, deletes what is done, and lets the rest come again. Of a stream likewise.

moto's own mapping ignores `batchItemFailures`, so this one honours them, and visibility, and that of a FIFO queue's group nothing
is handed out while something of it is in flight.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import batched
from typing import Any
from uuid import uuid4

MOST = 10
"""Messages of one call of SQS, and of one batch of a FIFO queue."""

type Invoke = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Given an event, gives the function's answer; None if the function died or raised."""


class Queue:
    """A queue with a visibility time-out that never runs out by itself: what is not done is made visible again at once."""

    def __init__(self, sqs: Any, name: str, **attributes: str) -> None:  # noqa: ANN401 - botocore's
        """Make the queue."""
        self._sqs = sqs
        self.fifo = name.endswith(".fifo")
        fifo = {"FifoQueue": "true"} if self.fifo else {}
        self.url: str = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "3600", **fifo, **attributes})["QueueUrl"]
        self.arn: str = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def send(self, bodies: list[tuple[str, str]]) -> None:
        """Send bodies, each with its group, in their order."""
        for part in batched(enumerate(bodies), MOST, strict=False):
            entries = []
            for number, (group, body) in part:
                fifo = {"MessageGroupId": group, "MessageDeduplicationId": uuid4().hex} if self.fifo else {}
                entries.append({"Id": str(number), "MessageBody": body, **fifo})
            sent = self._sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            assert len(sent["Successful"]) == len(entries)

    def messages(self) -> list[dict[str, Any]]:
        """Up to ten messages, in flight from now on, as Lambda hands them to a function."""
        received = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=MOST, AttributeNames=["All"])
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": self.arn,
                "awsRegion": "us-east-1",
            }
            for message in received.get("Messages", [])
        ]

    def bodies(self) -> list[str]:
        """All bodies that are visible; they are not any more."""
        return [message["body"] for part in iter(self.messages, []) for message in part]

    def done(self, messages: list[dict[str, Any]]) -> None:
        """Delete messages."""
        self._each(self._sqs.delete_message_batch, messages)

    def again(self, messages: list[dict[str, Any]]) -> None:
        """Make messages visible, as they are when their time-out is over."""
        self._each(self._sqs.change_message_visibility_batch, messages, VisibilityTimeout=0)

    def _each(self, call: Callable[..., Any], messages: list[dict[str, Any]], **fields: object) -> None:
        for part in batched(messages, MOST, strict=False):
            entries = [{"Id": str(place), "ReceiptHandle": one["receiptHandle"], **fields} for place, one in enumerate(part)]
            assert not call(QueueUrl=self.url, Entries=entries).get("Failed")


def poll(queue: Queue, invoke: Invoke, batches: int, most_events: int) -> int:
    """Hand out everything until the queue is empty; how many events that took.

    Raises:
        RuntimeError: it is not empty after so many events.
    """
    for events in range(most_events):
        messages = list(_batch(queue, batches))
        if not messages:
            return events
        reply = invoke({"Records": messages})
        failed = {one["itemIdentifier"] for one in reply["batchItemFailures"]} if reply else {one["messageId"] for one in messages}
        queue.done([one for one in messages if one["messageId"] not in failed])
        queue.again([one for one in messages if one["messageId"] in failed])
    msg = f"the queue is not empty after {most_events} events"
    raise RuntimeError(msg)


def poll_stream(changes: Sequence[dict[str, Any]], invoke: Invoke, batch: int, most_events: int) -> int:
    """Hand out all changes of a table, so many at a time, from the one on that is to come again; how many events that took.

    Raises:
        RuntimeError: it is not at the end after so many events.
    """
    numbers = [change["dynamodb"]["SequenceNumber"] for change in changes]
    begin = 0
    for events in range(most_events):
        if begin == len(changes):
            return events
        reply = invoke({"Records": list(changes[begin : begin + batch])})
        if reply:
            failed = [numbers.index(one["itemIdentifier"]) for one in reply["batchItemFailures"]]
            begin = min(failed, default=min(begin + batch, len(changes)))
    msg = f"the stream is not at its end after {most_events} events"
    raise RuntimeError(msg)


def _batch(queue: Queue, batches: int) -> Iterator[dict[str, Any]]:
    """The messages of one event: of a FIFO queue ten, of any other as many as so many calls give."""
    for _ in range(1 if queue.fifo else batches):
        messages = queue.messages()
        yield from messages
        if not messages:
            return
