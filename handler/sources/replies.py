"""Replies: how a source learns what to retry, either by the names of messages or by an exception.

Law: pure functions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from handler.errors import Unfinished
from handler.records import Failure

LONGEST_SEQUENCE = 128
"""Digits of a sequence number of Kinesis, which usually has 56."""

type BatchItemFailures = dict[str, list[dict[str, Any]]]
"""Lambda's reply for a queue or a stream: `batchItemFailures` names the messages to retry."""


def name_failures(names: Iterable[object]) -> BatchItemFailures:
    """Name the messages to retry. If there are none, every message is done."""
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


def name_messages(failures: Sequence[Failure]) -> BatchItemFailures:
    """Name each message to retry once. A queue deletes the others."""
    return name_failures(dict.fromkeys(failure.origin.message for failure in failures))


def name_first_of_stream(failures: Sequence[Failure]) -> BatchItemFailures:
    """Name the earliest record to retry. A stream is read again from there, so one name is enough."""
    return name_failures([min((failure.origin.message for failure in failures), key=_sequence)] if failures else [])


def _sequence(name: object) -> int:
    """Return a record's place in its stream. A name that is no number comes first: it makes Lambda send the whole batch again."""
    digits = str(name)
    return int(digits) if digits.isdecimal() and len(digits) <= LONGEST_SEQUENCE else -1


def raise_if_unfinished(failures: Sequence[Failure]) -> None:
    """Raise if there is anything to retry: an asynchronous invocation is retried only if the function raises.

    Raises:
        Unfinished: there are failures.
    """
    if failures:
        msg = f"{len(failures)} of the event's records are not done, the first because: {failures[0].error}"
        raise Unfinished(msg)
