"""Records embedded together, whatever messages they came in: one that fails takes no other with it."""

import time
from collections.abc import Sequence

from handler import telemetry
from handler.errors import Backend, EmbeddingError, Internal, TooLarge, Unembeddable, Unfinished
from handler.records import Failure, Record, Result
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors

FIRST_CALL, LEAST_CALL, MOST_CALL = 64, 8, 512
"""Texts of one call of the service: the first, then as many as take CALL_SECONDS. What a deadline interrupts is one call."""
CALL_SECONDS = 1.0


def embedded(service: Service, records: Sequence[Record], deadline: float = NEVER) -> list[Result | Failure]:
    """A result or a failure for each record, in their order.

    Records with the same options are embedded together. One that fails takes no other with it. `deadline` is the reading of
    time.monotonic() after which nothing is begun: what is left then are transient failures.
    """
    by_options: dict[Options, list[int]] = {}
    for place, record in enumerate(records):
        by_options.setdefault(record.options, []).append(place)
    found: dict[int, Result | Failure] = {}
    calling = FIRST_CALL
    for places in by_options.values():
        begun = 0
        while begun < len(places):
            part = places[begun : begun + calling]
            started = time.monotonic()
            found.update(zip(part, _called(service, [records[place] for place in part], deadline), strict=True))
            seconds = time.monotonic() - started
            begun += len(part)
            calling = min(MOST_CALL, max(LEAST_CALL, int(len(part) * CALL_SECONDS / max(seconds, 1e-3))))
    return [found[place] for place in range(len(records))]


def _called(service: Service, records: Sequence[Record], deadline: float) -> list[Result | Failure]:
    """One call of the service. Where it fails, each half has its own, so that a bad text ends up alone."""
    made: Embeddings[Vectors] | None = None
    try:
        if time.monotonic() > deadline:
            raise TooLarge  # noqa: TRY301 - as the service would
        made = service.embed([record.text for record in records], records[0].options, deadline)
    except TooLarge:
        return _all_fail(records, Unfinished("the time ran out"))
    except EmbeddingError as error:
        if isinstance(error, Backend) and not isinstance(error, Unembeddable):
            return _all_fail(records, error)  # the deployment's failure, whatever the text
        if len(records) == 1:
            return [Failure.of(error, records[0].id, records[0].origin)]
    except Exception as error:  # noqa: BLE001 - one record's surprise must not be every record's
        if len(records) == 1:
            return _all_fail(records, Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}"))
    if made is None:
        half = len(records) // 2
        return _called(service, records[:half], deadline) + _called(service, records[half:], deadline)
    return [
        Result(record, vector, tokens, cut)
        for record, vector, tokens, cut in zip(records, made.vectors, made.tokens_each, made.cut, strict=True)
    ]


def _all_fail(records: Sequence[Record], error: EmbeddingError) -> list[Result | Failure]:
    return [Failure.of(error, record.id, record.origin, transient=True) for record in records]
