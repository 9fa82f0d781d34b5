"""The interfaces that a pipeline needs: sinks, a failure destination, and a store of objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from handler.embedding.manifest import Manifest
from handler.records import Deleted, Failure, Record, Result, StoredObject


class Sink(Protocol):
    """A destination of finished vectors."""

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write `results`; return a failure for each that was not written. Never raise because of a result."""
        ...


@runtime_checkable
class DeletingSink(Protocol):
    """A sink that can delete vectors."""

    def delete(self, deleted: Sequence[Deleted]) -> list[Failure]:
        """Delete the vectors of these records; return a failure for each that remains. A missing vector counts as deleted."""
        ...


@runtime_checkable
class DocumentSink(Sink, DeletingSink, Protocol):
    """A sink that can delete vectors and read their metadata, so that no chunk of an older version of a document remains in it."""

    def read_metadata(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the metadata of those vectors among `ids` that exist. Raise any exception if that is unknown."""
        ...


@runtime_checkable
class OneVectorOnly(Protocol):
    """A sink that stores one vector for each record, and no chunks."""

    one_vector_only: bool


@runtime_checkable
class Float32Only(Protocol):
    """A sink that takes no small vectors (handler/vector_types.py)."""

    float32_only: bool


@runtime_checkable
class ModelBound(Protocol):
    """A sink whose vectors must all be of one model. `arn` is its ARN; "" if it is unknown."""

    @property
    def arn(self) -> str: ...  # noqa: D102 - see above

    def check_model(self, model: Callable[[], Manifest], searched_arn: str) -> None:
        """Raise Backend if the sink has vectors of another model. `searched_arn` is the index that this deployment searches."""
        ...


@runtime_checkable
class ShardSink(Protocol):
    """A sink of whole files (shards). An existing shard need not be written again."""

    def find_receipt(self, name: str) -> object:
        """Return the receipt of an existing shard; None if there is no such shard. Raise any exception if that is unknown."""
        ...

    def write_shard(self, results: Sequence[Result], name: str) -> object:
        """Write a shard, which may have no results. Return a list of failures if it was not written."""
        ...


class FailureDestination(Protocol):
    """A destination of records that can never be embedded."""

    def write(self, failures: Sequence[tuple[Failure, object]]) -> list[Failure]:
        """Record each failure with its original message; return the failures that were not recorded. Never raise."""
        ...


@dataclass(frozen=True, slots=True)
class ObjectLine:
    """A line of an object: its place in bytes, and the record or the failure that was read from it."""

    start: int
    stop: int
    content: Record | Failure


@dataclass(frozen=True, slots=True)
class WholeObject:
    """The current state of an object that is one document: its ETag, and the record or the failure that was read from it.

    The ETag is None if there is no such object. Without a text, there is no content.
    """

    etag: str | None
    content: Record | Failure | None


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """The store from which objects are read, and through which the rest of an object is deferred.

    `lines` reads an object from its offset on. `defer` sends the rest, from a byte on, to the continuation queue and returns True
    if the queue accepted it. `is_output` returns True for an object that this pipeline wrote itself.

    `is_document` returns True for an object that is one document; then `read_whole` reads its current state, and `find_etag`
    returns the current ETag, or None if the object does not exist.
    """

    lines: Callable[[StoredObject], Iterator[ObjectLine]]
    defer: Callable[[StoredObject, int], bool]
    is_output: Callable[[StoredObject], bool]
    is_document: Callable[[StoredObject], bool] = lambda _: False
    read_whole: Callable[[StoredObject], WholeObject] = lambda _: WholeObject(None, None)
    find_etag: Callable[[StoredObject], str | None] = lambda _: None
