"""Embed the records of many messages in batches. A record that fails does not fail the others.

Law: knows the service and records, nothing of messages and sinks.
"""

import time
from collections.abc import Sequence

from handler import telemetry
from handler.errors import Backend, EmbeddingError, Internal, TooLarge, Unembeddable, Unfinished
from handler.records import Content, Failure, Outcome, Record, Result
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors

FIRST_CALL, LEAST_CALL, MOST_CALL = 64, 8, 512
"""The number of texts in the first call of the service, and the least and the largest number in a later call."""
CALL_SECONDS = 1.0
"""A later call has as many texts as take about this time. When the time runs out during a call, the work of that call is lost."""


def embed_contents(service: Service, contents: Sequence[Content], deadline: float = NEVER) -> list[Outcome]:
    """Replace each record by its result or its failure; every other content stays in its place.

    The records of one call have the same options. After `deadline`, a reading of time.monotonic(), no call is begun: the remaining
    records become transient failures.
    """
    places_by_options: dict[Options, list[int]] = {}
    outcomes: dict[int, Outcome] = {}
    for place, content in enumerate(contents):
        if isinstance(content, Record):
            places_by_options.setdefault(content.options, []).append(place)
        else:
            outcomes[place] = content
    records = {place: content for place, content in enumerate(contents) if isinstance(content, Record)}
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
    return [outcomes[place] for place in range(len(contents))]


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
