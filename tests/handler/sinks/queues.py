"""Queues of moto's SQS."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

QUEUE = "http://127.0.0.1/123456789012/vectors"
"""The URL of a queue of a fake API."""


def new_queue(sqs: Any, ending: str = "", **attributes: str) -> str:  # noqa: ANN401 - botocore's
    """Make an empty queue; return its URL."""
    url: str = sqs.create_queue(QueueName=uuid4().hex + ending, Attributes=attributes)["QueueUrl"]
    return url


def arn_of(sqs: Any, url: str) -> str:  # noqa: ANN401 - botocore's
    """Return the ARN of a queue."""
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return arn


def received(sqs: Any, url: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - botocore's
    """Receive and delete all messages of a queue."""
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]).get(
        "Messages"
    ):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield message
