"""What flows through a pipeline: a record in, a result or a failure out.

Law: plain values. Sources make records, the pipeline makes results of them, sinks write those; none of it knows the others.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from handler.errors import EmbeddingError, error_type
from handler.service import Options
from handler.vectors import Vector


@dataclass(frozen=True, slots=True)
class Item:
    """A DynamoDB item that a text came from.

    `table` is its table's ARN, `keys` its primary key as botocore takes it, and `text_field` the attribute that holds the text.
    """

    table: str
    keys: Mapping[str, Any]
    text_field: str


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a record came from.

    `message` is how its source calls the message that carried it, `original` what the failure destination gets, as JSON. The
    messages of one `group` are done in their order. A write-back finds the `item` again.
    """

    message: Hashable
    original: Any = None
    group: str | None = None
    item: Item | None = None


NOWHERE = Origin("")


@dataclass(frozen=True, slots=True)
class Record:
    """One text to embed.

    `id` names it in every result; where two of an event share it, the later one holds. `metadata` is what else the record carried.
    """

    id: str
    text: str
    options: Options = field(default_factory=Options)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in S3 whose lines are records, from the byte `offset` on. `version` or `etag` hold it to one state."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    offset: int = 0
    origin: Origin = NOWHERE

    @property
    def uri(self) -> str:
        """Its address."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Nothing:
    """A message without a text to embed, and why that is right: `reason` is one word (deleted, unchanged, …)."""

    id: str
    reason: str
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Gone(Nothing):
    """A record that was there before, under this `id`, and has no text any more: nor is its vector to stay."""


@dataclass(frozen=True, slots=True)
class Result:
    """A record's finished vector, of the type that it or the deployment names; `tokens` counts what of the text was embedded."""

    record: Record
    vector: Vector
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that has no vector, or whose vector was not written, and why, in one sentence.

    A `transient` failure may pass if the record is tried again; any other goes to the failure destination, with its reason.
    """

    id: str
    error: str
    error_type: str
    transient: bool
    origin: Origin = NOWHERE

    @classmethod
    def of(cls, error: EmbeddingError, id: str, origin: Origin, *, transient: bool = False) -> Self:  # noqa: A002 - the wire's name
        """What `error` says of a record."""
        return cls(id, str(error), error_type(error), transient, origin)


type Content = Record | StoredObject | Nothing | Failure
"""What a source finds in a message."""
