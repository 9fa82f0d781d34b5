"""The values that flow through a pipeline: a record comes in, a result or a failure goes out.

Law: plain values. Sources make records, the pipeline makes results of them, sinks write results; none of the three knows the
others.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from handler.chunking import NO_CHUNK_OPTIONS, ChunkOptions
from handler.errors import EmbeddingError, error_type
from handler.service import Options
from handler.vectors import Vector


@dataclass(frozen=True, slots=True)
class Item:
    """The DynamoDB item that holds a record's text.

    `table` is its table's ARN, `keys` its primary key as botocore takes it, and `text_field` the attribute that holds the text.
    """

    table: str
    keys: Mapping[str, Any]
    text_field: str


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """The message that carried a record.

    `message` is the name that its source gives to the message. `original` is the message as JSON, for the failure destination. The
    messages of one `group` are written in their order. `item` is the item into which the write-back sink writes the vector.
    """

    message: Hashable
    original: Any = None
    group: str | None = None
    item: Item | None = None


NO_ORIGIN = Origin("")


@dataclass(frozen=True, slots=True)
class Record:
    """One text to embed.

    `id` names it in every result. If two records of an event have the same id, the later one counts. `metadata` has every other
    field of the record. `sequencer` is that of the event of S3 that reported its object.
    """

    id: str
    text: str
    options: Options = field(default_factory=Options)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = NO_ORIGIN
    chunk_options: ChunkOptions = NO_CHUNK_OPTIONS
    sequencer: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A record whose text is split: `chunks` has a record for each part of it, in their order."""

    record: Record
    chunks: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in S3 that an event reports.

    If its lines are records, they are read from the byte `offset` on, and only from the state `version` or `etag` of the object. If
    it is one document, its current state is read: `is_deleted` and `sequencer` are those of the event, not of the object.
    """

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    offset: int = 0
    origin: Origin = NO_ORIGIN
    is_deleted: bool = False
    sequencer: str = ""

    @property
    def uri(self) -> str:
        """The object's address."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A message without a text to embed, which is not an error. `reason` is a word or two, such as deleted or unchanged."""

    id: str
    reason: str
    origin: Origin = NO_ORIGIN


@dataclass(frozen=True, slots=True)
class Deleted(Skipped):
    """A record that existed under this `id` and has no text any more, so that its vector must be deleted as well."""


@dataclass(frozen=True, slots=True)
class Result:
    """A record with its finished vector of the type that it or the deployment names; `tokens` counts its embedded tokens."""

    record: Record
    vector: Vector
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """A document with the results of all its chunks, in their order."""

    record: Record
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that has no vector, or whose vector was not written, with the reason in one sentence.

    A `transient` failure may succeed when the record is retried. Any other is permanent and goes to the failure destination.
    """

    id: str
    error: str
    error_type: str
    transient: bool
    origin: Origin = NO_ORIGIN

    @classmethod
    def of(cls, error: EmbeddingError, id: str, origin: Origin, *, transient: bool = False) -> Self:  # noqa: A002 - the wire's name
        """Make the failure of the record `id`, with the sentence and the type of `error`."""
        return cls(id, str(error), error_type(error), transient, origin)


type Content = Record | StoredObject | Skipped | Failure
"""One thing that a source finds in a message."""

type Embeddable = Content | Document
"""A content after splitting: each record whose text is split has become a document."""

type Outcome = Result | DocumentResult | StoredObject | Skipped | Failure
"""A content after embedding: each record or document has become a result or a failure."""
