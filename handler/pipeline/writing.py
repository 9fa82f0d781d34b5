"""Write results to a sink, delete what was deleted, and keep no chunk that its document does not have any more.

Theory of operation

A sink that overwrites by id keeps the chunks of an older, longer version of a document unless they are deleted, and such a sink
deletes by ids only. So chunk 0 has the number of chunks in its metadata, as `chunks`. A document is written in this order:

1. Read the metadata of chunk 0, which has the old number. Then look for the chunk after both the old and the new last one. If it
   exists, although no number counts it, an attempt to write a longer version was killed: read on until no more chunks exist.
2. Write all chunks but chunk 0.
3. Delete the chunks beyond the new last one.
4. Write chunk 0, with the new number. It is written last: as long as it is the old one, every retry deletes at least as much.

If a step fails for a chunk, the document fails, and the whole document is retried. A repeat writes the same ids again. If a chunk
is refused for good, all chunks of the document are deleted: it is recorded as a failure, and no half of it is found. Chunks are
written from the first to the last and deleted from the last to the first. So a killed attempt leaves no gap, and all are found.

To delete a document, its chunks are found in the same way, and chunk 0 is deleted last.

Law: knows records and the ports; knows no sink and no source.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import batched
from operator import itemgetter
from typing import Any

from handler import telemetry
from handler.errors import Unfinished
from handler.pipeline.batching import fail_document
from handler.pipeline.groups import id_of
from handler.pipeline.ports import DeletingSink, DocumentSink, Sink
from handler.pipeline.splitting import CHUNKS, chunk_id
from handler.records import Deleted, DocumentResult, Failure, Outcome, Record, Result

WINDOW = 100
"""The ids that are read at a time behind the known chunks of a document."""
CALL_RESULTS = 500
"""The results of one call of the sink, which is also one call of AWS."""


def write_outcomes(sink: Sink, outcomes: Sequence[Outcome], *, is_split: bool) -> list[Failure]:
    """Write results and documents, and delete the vectors of deleted records; return a failure for each that was not done.

    Args:
        sink: the destination.
        outcomes: of these, failures and skipped messages are left alone.
        is_split: the deployment splits texts, so that a deleted record has chunks in the sink.
    """
    failures: list[Failure] = []
    if results := [outcome for outcome in outcomes if isinstance(outcome, Result)]:
        failures += sink.write(results)
    if documents := [outcome for outcome in outcomes if isinstance(outcome, DocumentResult)]:
        failures += write_documents(sink, documents)
    if isinstance(sink, DeletingSink) and (deleted := last_deleted(outcomes)):
        failures += delete_documents(sink, deleted) if is_split and isinstance(sink, DocumentSink) else sink.delete(deleted)
    return failures


def flatten(outcomes: Iterable[Outcome]) -> list[Result]:
    """Return the results among the outcomes, and those of the chunks of documents, in their order."""
    found: list[Result] = []
    for outcome in outcomes:
        match outcome:
            case Result():
                found.append(outcome)
            case DocumentResult():
                found += outcome.results
    return found


def last_deleted(outcomes: Iterable[Outcome]) -> list[Deleted]:
    """Return the deletions that no later result of the same id follows."""
    last = {id_of(outcome): outcome for outcome in outcomes if isinstance(outcome, Result | DocumentResult | Deleted)}
    return [outcome for outcome in last.values() if isinstance(outcome, Deleted)]


def write_documents(sink: Sink, documents: Sequence[DocumentResult]) -> list[Failure]:
    """Write the chunks of documents; return one failure for each document of which a chunk was not written.

    Of two documents with the same id, a sink that can delete gets only the later one.
    """
    if not isinstance(sink, DocumentSink):
        return _by_document([document.record for document in documents], sink.write(flatten(documents)))
    last = {document.record.id: document for document in documents}
    records = {name: document.record for name, document in last.items()}
    surplus = find_surplus(sink, {name: len(document.results) for name, document in last.items()})
    if surplus is None:
        return _fail_all(records.values())
    failures = _write_in_order(sink, [(name, result) for name, document in last.items() for result in document.results[1:]])
    failures += _delete(sink, surplus, records)
    failed = {document_of(failure) for failure in failures}
    failures += sink.write([document.results[0] for name, document in last.items() if name not in failed])
    transient = {document_of(failure) for failure in failures if failure.transient}
    refused = {document_of(failure) for failure in failures} - transient
    remains = [(name, number) for name in refused for number in range(len(last[name].results))]
    failures += _delete(sink, remains, records)
    return _by_document(records.values(), failures)


def _write_in_order(sink: DocumentSink, results: Iterable[tuple[str, Result]]) -> list[Failure]:
    """Write the results of documents, but nothing of a document after a call that failed: there are no gaps between its chunks."""
    failures: list[Failure] = []
    for batch in batched(results, CALL_RESULTS, strict=False):
        failed = {document_of(failure) for failure in failures}
        failures += sink.write([result for name, result in batch if name not in failed])
    return failures


def delete_documents(sink: DocumentSink, deleted: Sequence[Deleted]) -> list[Failure]:
    """Delete all chunks of documents, whose ids all differ; return one failure for each document of which a chunk remains."""
    records = {document.id: Record(document.id, "", origin=document.origin) for document in deleted}
    surplus = find_surplus(sink, dict.fromkeys(records, 0))
    if surplus is None:
        return _fail_all(records.values())
    failures = _delete(sink, [(name, number) for name, number in surplus if number], records)
    failed = {document_of(failure) for failure in failures}
    failures += _delete(sink, [(name, number) for name, number in surplus if number == 0 and name not in failed], records)
    return _by_document(records.values(), failures)


def find_surplus(sink: DocumentSink, counts: Mapping[str, int]) -> list[tuple[str, int]] | None:
    """Return the chunks that the sink has and the documents do not have any more; None if the sink does not say what it has.

    A chunk is the id of its document and its number. `counts` has the number of chunks of each document, 0 if it is deleted.
    """
    try:
        first = sink.read_metadata([chunk_id(name, 0) for name in counts])
        known = {name: count_chunks(first.get(chunk_id(name, 0))) for name in counts}
        next_numbers = {name: max(known[name], count, 1) for name, count in counts.items()}
        uncounted = sink.read_metadata([chunk_id(name, number) for name, number in next_numbers.items()])
        ends = {
            name: _find_end(sink, name, number + 1) if chunk_id(name, number) in uncounted else known[name]
            for name, number in next_numbers.items()
        }
    except Exception as error:  # noqa: BLE001 - whatever a sink raises, its chunks are unknown
        telemetry.log("chunks_not_read", error=type(error).__name__)
        return None
    return [(name, number) for name, count in counts.items() for number in range(count, ends[name])]


def _find_end(sink: DocumentSink, name: str, number: int) -> int:
    """Return the number after the last chunk of a document that the sink has, from `number` on."""
    while True:
        window = [chunk_id(name, place) for place in range(number, number + WINDOW)]
        found = sink.read_metadata(window)
        if not found:
            return number
        number += max(place for place, chunk in enumerate(window) if chunk in found) + 1


def count_chunks(metadata: Mapping[str, Any] | None) -> int:
    """Return the number of chunks that the metadata of a chunk 0 knows; 0 if there is no chunk 0."""
    if metadata is None:
        return 0
    count = metadata.get(CHUNKS)
    return int(count) if isinstance(count, int | float) else 1


def _delete(sink: DocumentSink, chunks: Iterable[tuple[str, int]], records: Mapping[str, Record]) -> list[Failure]:
    """Delete chunks. The last ones come first, so that a document of which only some are deleted has no gaps."""
    last_first = sorted(chunks, key=itemgetter(1), reverse=True)
    return sink.delete([Deleted(chunk_id(name, number), "no such chunk", records[name].origin) for name, number in last_first])


def _by_document(records: Iterable[Record], failures: Sequence[Failure]) -> list[Failure]:
    """Return one failure for each document of which a chunk failed."""
    by_document: dict[str, list[Failure]] = {}
    for failure in failures:
        by_document.setdefault(document_of(failure), []).append(failure)
    return [fail_document(record, by_document[record.id]) for record in records if record.id in by_document]


def document_of(failure: Failure) -> str:
    """Return the id of the document in the id of a chunk that failed."""
    return failure.id.rpartition("#")[0]


def _fail_all(records: Iterable[Record]) -> list[Failure]:
    reason = Unfinished("the sink did not say which chunks of the document it has")
    return [Failure.of(reason, record.id, record.origin, transient=True) for record in records]
