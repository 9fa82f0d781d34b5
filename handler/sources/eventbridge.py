"""EventBridge: an event's detail is a record. Asynchronous: what is left over has the event come again.

IAM: none of the function's own; the rule may invoke it (lambda:InvokeFunction).
"""

from collections.abc import Iterator, Sequence
from functools import partial

from handler.kinds import Event
from handler.records import Content, Failure, Origin
from handler.sources.guarded import guarded, text_in
from handler.sources.reading import from_eventbridge, is_eventbridge
from handler.sources.replies import raised


def matches(event: object) -> bool:
    """Whether this is an event of a bus; what S3 says there is the S3 source's."""
    return isinstance(event, dict) and is_eventbridge(event) and event["source"] != "aws.s3"


def records(event: Event, text_field: str) -> Iterator[Content]:
    """The detail. Its `id`, where it has one, names the record, else the event's own."""
    name = text_in(event, "id")
    origin = Origin(name, event)
    return guarded(partial(from_eventbridge, event, name, origin, text_field), name, origin)


def reply(back: Sequence[Failure]) -> None:
    """Nothing, or an exception."""
    raised(back)
