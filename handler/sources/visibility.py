"""Messages of a queue that failed become visible again after a back-off, instead of when the queue's visibility time-out is over.

That time-out must be six times the function's (Lambda developer guide, "Using Lambda with Amazon SQS"), which is 90 minutes: too
long to wait for a sink that was busy for a second. The back-off doubles with each time that a message was received, up to a quarter
of an hour, so that a sink that is down for hours is asked seldom, and the queue's `maxReceiveCount` is reached late.

IAM: sqs:ChangeMessageVisibility on the queue. Without it the visibility time-out counts.
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
from handler.sources.guarded import text_in

FIRST_SECONDS, MOST_SECONDS, MOST_DOUBLINGS = 15, 900, 6
QUEUE = r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[\w-]{1,80}(?:\.fifo)?)"
MESSAGES_PER_CALL = 10
MOST_DIGITS = 9
READ_SECONDS, ATTEMPTS, ALL_SECONDS = 2, 1, 4
"""What a call may take, and all of them: an event is answered in the seconds that are left then, or all of it is retried."""

type GiveBack = Callable[[Any, Collection[object] | None], None]
"""Has messages of an event become visible again after their back-off: those with these names, or all (None). Never raises."""


def backoff(receives: int) -> int:
    """Seconds until a message that was received so many times becomes visible again."""
    return min(MOST_SECONDS, FIRST_SECONDS << min(max(receives, 1) - 1, MOST_DOUBLINGS))


def giving_back(connect: Callable[..., Client] = connect, delay: Callable[[int], int] = backoff) -> GiveBack:
    """Make what gives messages back. Its clients are made when something fails, and kept.

    Args:
        connect: makes a client; tests hand in their own.
        delay: seconds by the number of times that a message was received.
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
                queues.setdefault(text_in(message, "eventSourceARN"), []).append(message)
        for arn, messages in queues.items():
            if queue := re.fullmatch(QUEUE, arn):
                _change(client, queue, messages, delay)

    return give_back


def _change(
    client: Callable[[str], Client], queue: re.Match[str], messages: Sequence[Mapping[str, Any]], delay: Callable[[int], int]
) -> None:
    """Change the visibility of messages of one queue. It is worth one attempt: if it fails, the queue's own time-out counts."""
    end = time.monotonic() + ALL_SECONDS
    try:
        sqs_client = client(queue["region"])
        url = f"{sqs_client.meta.endpoint_url}/{queue['account']}/{queue['name']}"
        for part in batched(messages, MESSAGES_PER_CALL, strict=False):
            if time.monotonic() > end:
                raise TimeoutError  # noqa: TRY301 - logged like SQS's own
            entries = [
                {"Id": str(place), "ReceiptHandle": text_in(one, "receiptHandle"), "VisibilityTimeout": delay(_receives(one))}
                for place, one in enumerate(part)
            ]
            failed = sqs_client.change_message_visibility_batch(QueueUrl=url, Entries=entries).get("Failed", [])
            if failed:
                telemetry.log("messages_not_given_back", messages=len(failed), error=text_in(failed[0], "Code"))
    except Exception as error:  # noqa: BLE001 - whatever befalls the call, the messages come again all the same
        telemetry.log("messages_not_given_back", messages=len(messages), error=error_name(error))


def _receives(message: Mapping[str, Any]) -> int:
    count = text_in(message, "attributes", "ApproximateReceiveCount")
    return int(count) if count.isascii() and count.isdigit() and len(count) < MOST_DIGITS else 1
