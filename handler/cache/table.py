"""What the cache asks of a table, and the table of a deployment that has none.

Law: a table's methods never raise and never take longer than they were given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from handler.cache.key import Key


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request to a table. `errors` counts failures by their names."""

    rows: dict[Key, bytes] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


class Table(Protocol):
    """Rows by their keys, outside this process."""

    def read(self, keys: Sequence[Key]) -> Outcome:
        """The rows that are there, as far as they came in time."""
        ...

    def write(self, rows: Mapping[Key, bytes], seconds: float) -> Outcome:
        """Store rows within `seconds`; the outcome has those that are surely stored."""
        ...


class NoTable:
    """The table of a deployment without one: nothing is there, nothing is kept."""

    def read(self, keys: Sequence[Key]) -> Outcome:
        """No rows."""
        del keys
        return Outcome()

    def write(self, rows: Mapping[Key, bytes], seconds: float) -> Outcome:
        """Nothing."""
        del rows, seconds
        return Outcome()
