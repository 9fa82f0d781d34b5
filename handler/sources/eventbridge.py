"""EventBridge: an event's detail is a record.

The invocation is asynchronous: to retry it, the reply raises.

IAM: no right of the function's own; the rule needs lambda:InvokeFunction.
"""

from collections.abc import Iterator
from functools import partial

from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.envelopes import is_eventbridge, read_eventbridge
from handler.sources.isolation import find_text, isolate


def matches(event: object) -> bool:
    """Return whether this is an event of a bus. Events that S3 puts there belong to the S3 source."""
    return isinstance(event, dict) and is_eventbridge(event) and event["source"] != "aws.s3"


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the record in the detail. Without an `id` of its own, it gets the event's."""
    name = find_text(event, "id")
    origin = Origin(name, event)
    return isolate(partial(read_eventbridge, event, name, origin, text_field), name, origin)
