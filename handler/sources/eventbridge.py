"""EventBridge: an event's detail is a record.

The invocation is asynchronous: Lambda retries it if the reply raises an exception.

IAM: the function needs no right; the rule needs lambda:InvokeFunction.
"""

from collections.abc import Iterator
from functools import partial

from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.envelopes import is_eventbridge, read_eventbridge
from handler.sources.isolation import find_text, isolate


def matches(event: object) -> bool:
    """Return whether this is an event of a bus. S3's events on a bus belong to s3.py."""
    return isinstance(event, dict) and is_eventbridge(event) and event["source"] != "aws.s3"


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the record in the event's detail. A record without an `id` gets the event's id."""
    name = find_text(event, "id")
    origin = Origin(name, event)
    return isolate(partial(read_eventbridge, event, name, origin, text_field), name, origin)
