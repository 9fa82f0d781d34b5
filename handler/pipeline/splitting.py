"""Split the texts of records into chunks, so that nothing beyond the model's limit is lost.

Chunk 0 of the document `a` has the id `a#0`, chunk 1 `a#1`, and so on. A document has at least chunk 0, however short it is. So two
documents never have a chunk of the same id: the last `#` of an id separates the document from the number of the chunk, and the
document `a#0` has the chunks `a#0#0`, `a#0#1`, ….

If the deployment splits texts, a record that wants no splitting becomes a document of one chunk, for the same reason. If only some
records ask for splitting, the ids of the others stay as they are, and must not end in `#` and a number.

Law: knows the service and records, nothing of messages and sinks.
"""

from collections.abc import Sequence
from typing import Any

from handler import telemetry
from handler.chunking import WHOLE, Chunk, Chunking
from handler.errors import Backend, EmbeddingError, Internal, TooLarge, Unfinished, Validation
from handler.records import Document, Embeddable, Failure, Record
from handler.service import Service
from handler.vectors import NEVER

DOCUMENT, CHUNK, CHUNKS, START, END, TEXT, SEQUENCER = "document", "chunk", "chunks", "start", "end", "text", "sequencer"
"""The fields that a chunk adds to its record's metadata. Only chunk 0 has the number of `chunks`. Those of an object
of S3 have the `sequencer` of its event. Only a chunk that keeps its text has `text`."""


def chunk_id(document: str, number: int) -> str:
    """Return the id of a document's chunk."""
    return f"{document}#{number}"


def split_records(service: Service, contents: Sequence[Embeddable], default: Chunking, deadline: float = NEVER) -> list[Embeddable]:
    """Replace each record whose text must be split by a document; every other content stays as it is.

    Args:
        service: knows the model's tokens.
        contents: the contents.
        default: the options of the deployment.
        deadline: the reading of time.monotonic() after which no text is split; the remaining records become transient failures.
    """
    return [_split(service, content, default, deadline) if isinstance(content, Record) else content for content in contents]


def _split(service: Service, record: Record, default: Chunking, deadline: float) -> Record | Document | Failure:
    chunking = record.chunk_options.over(default)
    if chunking.tokens == default.tokens == WHOLE.tokens:
        return record
    try:
        return _make_document(record, chunking, _find_chunks(service, record, chunking, deadline))
    except TooLarge:
        return Failure.of(Unfinished("the time ran out"), record.id, record.origin, transient=True)
    except EmbeddingError as error:
        return Failure.of(error, record.id, record.origin, transient=isinstance(error, Backend))
    except Exception as error:  # noqa: BLE001 - an unforeseen failure of one record must not fail the others
        internal = Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}")
        return Failure.of(internal, record.id, record.origin, transient=True)


def _find_chunks(service: Service, record: Record, chunking: Chunking, deadline: float) -> Sequence[Chunk]:
    if fault := chunking.fault:
        raise Validation(fault)
    added = {DOCUMENT, CHUNK, CHUNKS, START, END, SEQUENCER} | ({TEXT} if chunking.keeps_text else set())
    if taken := sorted(added & record.metadata.keys()):
        msg = f"`{taken[0]}` is a field that chunks add to the metadata: give the record's own field another name"
        raise Validation(msg)
    if not chunking.tokens:
        return [Chunk(0, len(record.text))]
    return service.chunks_of(record.text, record.options, chunking, deadline)


def _make_document(record: Record, chunking: Chunking, chunks: Sequence[Chunk]) -> Document:
    def metadata_of(number: int, chunk: Chunk) -> dict[str, Any]:
        added: dict[str, Any] = {DOCUMENT: record.id, CHUNK: number, START: chunk.start, END: chunk.end}
        added |= {CHUNKS: len(chunks)} if number == 0 else {}
        added |= {SEQUENCER: record.sequencer} if record.sequencer else {}
        added |= {TEXT: record.text[chunk.start : chunk.end]} if chunking.keeps_text else {}
        return {**record.metadata, **added}

    return Document(
        record,
        tuple(
            Record(
                chunk_id(record.id, number),
                record.text[chunk.start : chunk.end],
                record.options,
                metadata_of(number, chunk),
                record.origin,
            )
            for number, chunk in enumerate(chunks)
        ),
    )
