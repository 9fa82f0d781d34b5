"""Embed the records of many messages in batches. A record that fails does not fail the others.

Law: knows the service and records, nothing of messages and sinks.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from handler import telemetry
from handler.chunking import WHOLE, Chunking
from handler.errors import Backend, EmbeddingError, Internal, TooLarge, Unembeddable, Unfinished
from handler.pipeline.splitting import split_records
from handler.records import Document, DocumentResult, Embeddable, Failure, Outcome, Record, Result
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors

FIRST_CALL, LEAST_CALL, MOST_CALL = 64, 8, 512
"""The number of texts in the first call of the service, and the least and the largest number in a later call."""
CALL_SECONDS = 1.0
"""A later call has as many texts as take about this time. When the time runs out during a call, the work of that call is lost."""


def embed_contents(
    service: Service, contents: Sequence[Embeddable], deadline: float = NEVER, chunking: Chunking = WHOLE
) -> list[Outcome]:
    """Replace each record by its result or its failure; every other content stays in its place.

    A record whose text is split has one outcome, too: the results of all its chunks, or one failure. The records of one call have
    the same options. After `deadline`, a reading of time.monotonic(), no call is begun: the remaining records become transient
    failures.

    Args:
        service: embeds texts.
        contents: the contents.
        deadline: the reading of time.monotonic() after which nothing more is embedded.
        chunking: the deployment's options of splitting texts.
    """
    split = split_records(service, contents, chunking, deadline)
    outcomes = iter(_embed_records(service, [record for content in split for record in _records_of(content)], deadline))
    return [_outcome_of(content, list(islice(outcomes, len(_records_of(content))))) for content in split]


def _records_of(content: Embeddable) -> Sequence[Record]:
    """Return the records to embed: those of a document's chunks, or the record itself."""
    match content:
        case Record():
            return (content,)
        case Document():
            return content.chunks
    return ()


def _outcome_of(content: Embeddable, outcomes: Sequence[Result | Failure]) -> Outcome:
    """Return the outcome of a content from those of its records."""
    match content:
        case Record():
            return outcomes[0]
        case Document():
            results = tuple(outcome for outcome in outcomes if isinstance(outcome, Result))
            if len(results) == len(outcomes):
                return DocumentResult(content.record, results)
            return fail_document(content.record, [outcome for outcome in outcomes if isinstance(outcome, Failure)])
    return content


def fail_document(record: Record, failures: Sequence[Failure]) -> Failure:
    """Return the one failure of a document whose chunks failed: the first transient one, or else the first."""
    first = next((failure for failure in failures if failure.transient), failures[0])
    return replace(first, id=record.id, error=f"{first.error} (chunk {first.id.rpartition('#')[2]})", origin=record.origin)


def _embed_records(service: Service, records: Sequence[Record], deadline: float) -> list[Result | Failure]:
    """Return the result or the failure of each record."""
    places_by_options: dict[Options, list[int]] = {}
    for place, record in enumerate(records):
        places_by_options.setdefault(record.options, []).append(place)
    outcomes: dict[int, Result | Failure] = {}
    size = FIRST_CALL
    for same_options in places_by_options.values():
        begin = 0
        while begin < len(same_options):
            batch = same_options[begin : begin + size]
            started = time.monotonic()
            outcomes.update(zip(batch, _embed(service, [records[place] for place in batch], deadline), strict=True))
            seconds = time.monotonic() - started
            begin += len(batch)
            size = min(MOST_CALL, max(LEAST_CALL, int(len(batch) * CALL_SECONDS / max(seconds, 1e-3))))
    return [outcomes[place] for place in range(len(records))]


def _embed(service: Service, records: Sequence[Record], deadline: float) -> list[Result | Failure]:
    """Call the service once. If the call fails, embed each half by itself, until a bad text is alone."""
    embeddings: Embeddings[Vectors] | None = None
    try:
        if time.monotonic() > deadline:
            raise TooLarge  # noqa: TRY301 - the service raises it too when the time runs out
        embeddings = service.embed([record.text for record in records], records[0].options, deadline)
    except TooLarge:
        return _fail_all(records, Unfinished("the time ran out"))
    except EmbeddingError as error:
        if isinstance(error, Backend) and not isinstance(error, Unembeddable):
            return _fail_all(records, error)  # the deployment fails, whatever the text
        if len(records) == 1:
            return [Failure.of(error, records[0].id, records[0].origin)]
    except Exception as error:  # noqa: BLE001 - an unforeseen failure of one record must not fail the others
        if len(records) == 1:
            return _fail_all(records, Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}"))
    if embeddings is None:
        half = len(records) // 2
        return _embed(service, records[:half], deadline) + _embed(service, records[half:], deadline)
    return [
        Result(record, vector, tokens, truncated)
        for record, vector, tokens, truncated in zip(
            records, embeddings.vectors, embeddings.tokens_each, embeddings.truncated_each, strict=True
        )
    ]


def _fail_all(records: Sequence[Record], error: EmbeddingError) -> list[Result | Failure]:
    return [Failure.of(error, record.id, record.origin, transient=True) for record in records]
