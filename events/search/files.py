"""The files that can be searched, and what a search needs of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from events.embed.progress import Refused
from events.search.filters import Filter
from events.search.scoring import Places


@dataclass(frozen=True, slots=True)
class Batch:
    """Some vectors of a file, as rows of numbers, with their places. The numbers are valid until the next batch is read."""

    numbers: NDArray[Any]
    places: Places


class VectorFile(Protocol):
    """A file of vectors that all have the same number of numbers.

    Every method raises Refused with a sentence if the file is not one that `make embed` wrote.
    """

    @property
    def properties(self) -> Mapping[str, str]:
        """The facts about its vectors that the file names (events/embed/output.py); empty if it names none."""
        ...

    @property
    def numbers(self) -> str:
        """The name in numpy of the type of all numbers."""
        ...

    @property
    def size(self) -> int:
        """The count of numbers of each vector; 0 if the file has no vectors."""
        ...

    def read(self, most: int, condition: Filter | None) -> list[Iterator[Batch]]:
        """Return at most `most` iterators, each for its own thread, that together read all records that fulfil the condition."""
        ...

    def record(self, place: int) -> tuple[str, Mapping[str, Any]]:
        """Return the id and the metadata of the record at a place."""
        ...


def refuse_sizes(path: Path, place: str, found: int, expected: int) -> Refused:
    """Say that a vector has another number of numbers than the first one."""
    return Refused(
        f"{path} has vectors of different lengths: the first has {expected} numbers, the one {place} has {found}. "
        "A search needs vectors of one length: embed all records with the same `dimensions`"
    )


def refuse_content(path: Path, reason: str) -> Refused:
    """Say that a file is not one that `make embed` wrote."""
    return Refused(f"{path} is not a file of vectors that `make embed` wrote: {reason}")
