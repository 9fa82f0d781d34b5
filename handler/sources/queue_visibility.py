"""Make failed messages of a queue visible again after a back-off, and not only after the queue's visibility time-out.

That time-out must be six times the function's own (Lambda developer guide, "Using Lambda with Amazon SQS"), so it is 90 minutes:
too long if a sink was busy for a second. The back-off doubles each time that a message is received, up to 15 minutes. So a sink
that is down for hours gets few requests, and the queue's `maxReceiveCount` is reached late.

IAM: sqs:ChangeMessageVisibility on the queue. Without it, the visibility time-out applies.
"""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from itertools import batched
from typing import Any

from handler import telemetry
from handler.aws import Client, connect, error_name
from handler.kinds import Event
from handler.sources import sqs
from handler.sources.isolation import find_text

FIRST_SECONDS, MOST_SECONDS, MOST_DOUBLINGS = 15, 900, 6
QUEUE = r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[\w-]{1,80}(?:\.fifo)?)"
MESSAGES_PER_CALL = 10
MOST_DIGITS = 9
READ_SECONDS, ATTEMPTS, ALL_SECONDS = 2, 1, 4
"""Limits of one call, and of all calls for one event: if the function does not reply in time, the whole event is retried."""

type GiveBack = Callable[[Any, Collection[object] | None], None]
"""Makes messages of an event visible again after their back-off: those with these names, or all of them (None). Never raises."""


def backoff_seconds(receives: int) -> int:
    """Return the seconds after which a message becomes visible again. `receives` is the number of times that it was received."""
    return min(MOST_SECONDS, FIRST_SECONDS << min(max(receives, 1) - 1, MOST_DOUBLINGS))


def make_give_back(connect: Callable[..., Client] = connect, delay: Callable[[int], int] = backoff_seconds) -> GiveBack:
    """Make the function that gives messages back to their queues. A client is made at the first failure, and kept.

    Args:
        connect: makes a client; tests pass their own.
        delay: returns the seconds of the back-off for the number of times that a message was received.
    """

    @cache
    def client(region: str) -> Client:
        return connect("sqs", read_seconds=READ_SECONDS, attempts=ATTEMPTS, region=region)

    def give_back(event: Event, names: Collection[object] | None) -> None:
        if not sqs.matches(event):
            return
        queues: dict[str, list[dict[str, Any]]] = {}
        for message in event["Records"]:
            if names is None or sqs.origin_of(message).message in names:
                queues.setdefault(find_text(message, "eventSourceARN"), []).append(message)
        for arn, messages in queues.items():
            if queue := re.fullmatch(QUEUE, arn):
                _change(client, queue, messages, delay)

    return give_back


def _change(
    client: Callable[[str], Client], queue: re.Match[str], messages: Sequence[Mapping[str, Any]], delay: Callable[[int], int]
) -> None:
    """Change the visibility of messages of one queue, in one attempt. If it fails, the queue's own time-out applies."""
    end = time.monotonic() + ALL_SECONDS
    try:
        sqs_client = client(queue["region"])
        url = f"{sqs_client.meta.endpoint_url}/{queue['account']}/{queue['name']}"
        for part in batched(messages, MESSAGES_PER_CALL, strict=False):
            if time.monotonic() > end:
                raise TimeoutError  # noqa: TRY301 - logged like an error of SQS
            entries = [
                {
                    "Id": str(position),
                    "ReceiptHandle": find_text(message, "receiptHandle"),
                    "VisibilityTimeout": delay(_receives(message)),
                }
                for position, message in enumerate(part)
            ]
            failed = sqs_client.change_message_visibility_batch(QueueUrl=url, Entries=entries).get("Failed", [])
            if failed:
                telemetry.log("messages_not_given_back", messages=len(failed), error=find_text(failed[0], "Code"))
    except Exception as error:  # noqa: BLE001 - after any error at all, the messages are retried anyway
        telemetry.log("messages_not_given_back", messages=len(messages), error=error_name(error))


def _receives(message: Mapping[str, Any]) -> int:
    count = find_text(message, "attributes", "ApproximateReceiveCount")
    return int(count) if count.isascii() and count.isdigit() and len(count) < MOST_DIGITS else 1
