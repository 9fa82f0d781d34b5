"""Report the failures to retry to a source, either by the names of messages or by an exception.

Law: pure functions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from handler.errors import Unfinished
from handler.records import Failure

LONGEST_SEQUENCE = 128
"""The most digits of a sequence number of Kinesis. Usually it has 56."""

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
    """Return a record's place in its stream. A name that is no number comes first, because Lambda then retries the whole batch."""
    digits = str(name)
    return int(digits) if digits.isdecimal() and len(digits) <= LONGEST_SEQUENCE else -1


def raise_if_unfinished(failures: Sequence[Failure]) -> None:
    """Raise an exception if there are failures, because an asynchronous invocation is retried only after an exception.

    Raises:
        Unfinished: there are failures.
    """
    if failures:
        msg = f"{len(failures)} of the event's records are not done, the first because: {failures[0].error}"
        raise Unfinished(msg)
