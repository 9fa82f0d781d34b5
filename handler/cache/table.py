"""The interface of a table of rows, and the table of a deployment that has none.

Law: a table's methods never raise and never take longer than the time they were given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from handler.cache.key import Key


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows that were read or stored, and the number of failures by their names."""

    rows: dict[Key, bytes] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


class Table(Protocol):
    """Rows by their keys, outside this process."""

    def read(self, keys: Sequence[Key]) -> Outcome:
        """Return the rows that exist and arrived in time."""
        ...

    def write(self, rows: Mapping[Key, bytes], seconds: float) -> Outcome:
        """Store rows within `seconds`; return those that were certainly stored."""
        ...


class NoTable:
    """The table of a deployment without one: it finds nothing and stores nothing."""

    def read(self, keys: Sequence[Key]) -> Outcome:
        """Return no rows."""
        del keys
        return Outcome()

    def write(self, rows: Mapping[Key, bytes], seconds: float) -> Outcome:
        """Store nothing."""
        del rows, seconds
        return Outcome()
