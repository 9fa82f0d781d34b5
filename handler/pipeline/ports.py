"""What a pipeline is handed: where vectors go, where failures do, and how objects are read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from handler.records import Failure, Gone, Record, Result, StoredObject


class Sink(Protocol):
    """Where finished vectors go."""

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write `results`; returns a failure for each that was not written, and never raises on their account."""
        ...


@runtime_checkable
class Erasable(Protocol):
    """A sink from which vectors can be deleted again."""

    def delete(self, gone: Sequence[Gone]) -> list[Failure]:
        """Delete their vectors; one that is not there is deleted. Returns a failure for each that was not, and never raises."""
        ...


@runtime_checkable
class Float32Only(Protocol):
    """A sink that takes no small vectors (handler/vector_types.py)."""

    float32_only: bool


@runtime_checkable
class Shards(Protocol):
    """A sink of whole files: one that is there need not be made again."""

    def receipt(self, name: str) -> object:
        """What tells a shard that is there; None if it is not. Raises anything where that is not known."""
        ...

    def write_shard(self, results: Sequence[Result], name: str) -> object:
        """Write one, also of no results; a list of failures if that fails."""
        ...


class FailureDestination(Protocol):
    """Where records go that can never be embedded."""

    def write(self, failures: Sequence[tuple[Failure, object]]) -> list[Failure]:
        """Write each with its original, and tell what was not written. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A record of an object, or why it is none, and the bytes it takes there."""

    start: int
    stop: int
    content: Record | Failure


@dataclass(frozen=True, slots=True)
class Objects:
    """How objects are read, and how what is left of one is put off.

    `lines` reads from the object's offset on. `put_off` sends the rest to the continuation queue and tells whether it was taken.
    `is_output` tells what this pipeline wrote itself.
    """

    lines: Callable[[StoredObject], Iterator[Line]]
    put_off: Callable[[StoredObject, int], bool]
    is_output: Callable[[StoredObject], bool]
