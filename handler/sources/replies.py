"""How sources are answered: by naming what is to come again, or, where no answer is read, by an exception.

Law: pure functions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from handler.errors import Unfinished
from handler.records import Failure

LONGEST_SEQUENCE = 128
"""Digits of a sequence number of Kinesis, which are 56 as a rule."""

type Partial = dict[str, list[dict[str, Any]]]


def of_one_kind(event: object, field: str, source: str) -> bool:
    """Whether an event is a list of `Records`, all of them from `source`."""
    found = event.get("Records") if isinstance(event, dict) and len(event) == 1 else None
    return isinstance(found, list) and bool(found) and all(isinstance(one, dict) and one.get(field) == source for one in found)


def items(names: Iterable[object]) -> Partial:
    """`batchItemFailures`: none of them means that everything is done."""
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


def first_of_stream(back: Sequence[Failure]) -> Partial:
    """A stream comes again from the earliest record that is named, so that one alone is."""
    return items([min((failure.origin.message for failure in back), key=_sequence)] if back else [])


def _sequence(name: object) -> int:
    """A record's place in its stream; before all others one without it, which has Lambda send the whole batch again."""
    digits = str(name)
    return int(digits) if digits.isdecimal() and len(digits) <= LONGEST_SEQUENCE else -1


def raised(back: Sequence[Failure]) -> None:
    """An asynchronous invocation is tried again where it raises, and only there.

    Raises:
        Unfinished: something is left over.
    """
    if back:
        msg = f"{len(back)} of the event's records are not done, the first because: {back[0].error}"
        raise Unfinished(msg)
