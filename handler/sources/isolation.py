"""Isolation: a record that cannot be read never fails other records.

Law: knows nothing of the content of records.
"""

from collections.abc import Callable, Iterable, Iterator

from handler import telemetry
from handler.errors import EmbeddingError, Validation
from handler.records import Content, Failure, Origin

INCOMPLETE = "The record looks like one of another service, but some of that service's fields are missing or have other types"


def isolate(read: Callable[[], Iterable[Content]], default_id: str, origin: Origin) -> Iterator[Content]:
    """Yield the contents that `read` finds in one record. If `read` raises an exception, yield one permanent failure instead."""
    try:
        found = list(read())
    except EmbeddingError as error:
        found = [Failure.of(error, default_id, origin)]
    except Exception as error:  # noqa: BLE001 - a sender can put anything anywhere, and the neighbours are not at fault
        telemetry.log("record_not_read", error=type(error).__name__)
        found = [Failure.of(Validation(INCOMPLETE), default_id, origin)]
    return iter(found)


def find_text(record: object, *path: str) -> str:
    """Return the string, or the number as a string, under these names in nested objects; an empty string if there is none."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return str(record) if isinstance(record, str | int) else ""
