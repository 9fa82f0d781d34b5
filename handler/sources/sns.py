"""SNS: a topic's message holds a plain text, a record, or an envelope. Asynchronous: what is left over has the event come again.

IAM: none of the function's own; the topic may invoke it (lambda:InvokeFunction).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from handler.kinds import Event
from handler.records import Content, Failure, Origin
from handler.sources.guarded import guarded, text_in
from handler.sources.reading import contents
from handler.sources.replies import of_one_kind, raised


def matches(event: object) -> bool:
    """Whether these are notifications of a topic."""
    return of_one_kind(event, "EventSource", "aws:sns")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """What the notifications hold."""
    for record in event["Records"]:
        name = text_in(record, "Sns", "MessageId")
        origin = Origin(name, record)
        yield from guarded(partial(_contents, record, origin, text_field), name, origin)


def _contents(record: dict[str, Any], origin: Origin, text_field: str) -> Iterator[Content]:
    return contents(record["Sns"]["Message"], str(origin.message), origin, text_field)


def reply(back: Sequence[Failure]) -> None:
    """Nothing, or an exception."""
    raised(back)
