"""SNS: each notification holds a plain text, a record or an envelope.

The invocation is asynchronous: Lambda retries it if the reply raises an exception.

IAM: the function needs no right; the topic needs lambda:InvokeFunction.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.envelopes import only_from, parse_message
from handler.sources.isolation import find_text, isolate


def matches(event: object) -> bool:
    """Return whether an event is a notification of a topic."""
    return only_from(event, "EventSource", "aws:sns")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the contents of all notifications."""
    for record in event["Records"]:
        name = find_text(record, "Sns", "MessageId")
        origin = Origin(name, record)
        yield from isolate(partial(_parse, record, origin, text_field), name, origin)


def _parse(record: dict[str, Any], origin: Origin, text_field: str) -> Iterator[Content]:
    return parse_message(record["Sns"]["Message"], str(origin.message), origin, text_field)
