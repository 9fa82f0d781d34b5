"""The order of messages within their groups: in which round a message is written, and which messages wait for an earlier one.

Law: pure values; nothing is embedded or written here.
"""

from collections import Counter
from collections.abc import Iterable

from handler.errors import Unfinished
from handler.records import DocumentResult, Failure, Origin, Outcome, Result, StoredObject


class ClosedGroups:
    """The groups of one event whose later messages are not written, because an earlier one has to be retried."""

    def __init__(self) -> None:
        self._closed: set[str] = set()

    def close(self, failures: Iterable[Failure]) -> None:
        """Close the groups of these messages, which have to be retried."""
        self._closed.update(failure.origin.group for failure in failures if failure.origin.group is not None)

    def split[T: Outcome](self, outcomes: Iterable[T]) -> tuple[list[T], list[Failure]]:
        """Return the outcomes that may be written, and a failure to retry for each outcome of a closed group."""
        writable: list[T] = []
        blocked: list[Failure] = []
        for outcome in outcomes:
            if origin_of(outcome).group in self._closed:
                reason = Unfinished("a message before it in its group was not done")
                blocked.append(Failure.of(reason, id_of(outcome), origin_of(outcome), transient=True))
            else:
                writable.append(outcome)
        return writable, blocked


def rounds(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    """Divide outcomes into rounds: the first of each group, then the second of each. The first round has all without a group."""
    found: list[list[Outcome]] = []
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        group = origin_of(outcome).group
        place = 0 if group is None else counts[group]
        if group is not None:
            counts[group] += 1
        if place == len(found):
            found.append([])
        found[place].append(outcome)
    return found


def origin_of(outcome: Outcome) -> Origin:
    """Return the message that an outcome came from."""
    return outcome.record.origin if isinstance(outcome, Result | DocumentResult) else outcome.origin


def id_of(outcome: Outcome) -> str:
    """Return the id that an outcome has in results and failures."""
    match outcome:
        case Result() | DocumentResult():
            return outcome.record.id
        case StoredObject():
            return outcome.uri
        case _:
            return outcome.id
