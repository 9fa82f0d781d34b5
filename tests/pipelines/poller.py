"""Lambda's part in an event source: it polls a queue or a stream, invokes the function, and retries what failed.

moto's own event source mapping ignores `batchItemFailures`. This one respects them and the visibility of messages.
While a message of a FIFO group is in flight, no other message of that group is received.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import batched
from typing import Any
from uuid import uuid4

MOST = 10
"""Messages of one call of SQS, and of one event of a FIFO queue."""

type Invoke = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Takes an event and returns the function's reply; None if the function died or raised."""


class Queue:
    """A queue whose visibility time-out never ends by itself: failed messages are made visible at once."""

    def __init__(self, sqs: Any, name: str, **attributes: str) -> None:  # noqa: ANN401 - botocore's
        """Make the queue."""
        self._sqs = sqs
        self.fifo = name.endswith(".fifo")
        fifo = {"FifoQueue": "true"} if self.fifo else {}
        self.url: str = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "3600", **fifo, **attributes})["QueueUrl"]
        self.arn: str = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def send(self, bodies: list[tuple[str, str]]) -> None:
        """Send bodies in their order, each with its group."""
        for part in batched(enumerate(bodies), MOST, strict=False):
            entries = []
            for number, (group, body) in part:
                fifo = {"MessageGroupId": group, "MessageDeduplicationId": uuid4().hex} if self.fifo else {}
                entries.append({"Id": str(number), "MessageBody": body, **fifo})
            sent = self._sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            assert len(sent["Successful"]) == len(entries)

    def messages(self) -> list[dict[str, Any]]:
        """Receive up to ten messages, in the form that Lambda gives a function. They are in flight now."""
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
        """Receive all visible messages; return their bodies."""
        return [message["body"] for part in iter(self.messages, []) for message in part]

    def done(self, messages: list[dict[str, Any]]) -> None:
        """Delete messages."""
        self._each(self._sqs.delete_message_batch, messages)

    def again(self, messages: list[dict[str, Any]]) -> None:
        """Make messages visible, as at the end of their time-out."""
        self._each(self._sqs.change_message_visibility_batch, messages, VisibilityTimeout=0)

    def _each(self, call: Callable[..., Any], messages: list[dict[str, Any]], **fields: object) -> None:
        for part in batched(messages, MOST, strict=False):
            entries = [{"Id": str(place), "ReceiptHandle": one["receiptHandle"], **fields} for place, one in enumerate(part)]
            assert not call(QueueUrl=self.url, Entries=entries).get("Failed")


def poll(queue: Queue, invoke: Invoke, batches: int, most_events: int) -> int:
    """Invoke the function until the queue is empty; return how many events that took.

    Raises:
        RuntimeError: the queue is not empty after so many events.
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
    """Invoke the function with all changes of a table, and again from each failure on; return how many events that took.

    Raises:
        RuntimeError: the stream is not at its end after so many events.
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
    """Yield the messages of one event: of one call for a FIFO queue, of several calls for any other."""
    for _ in range(1 if queue.fifo else batches):
        messages = queue.messages()
        yield from messages
        if not messages:
            return
