"""Batches of Step Functions' Distributed Map: write vectors to a sink and return a receipt, or return the vectors."""

import time
from collections.abc import Sequence
from typing import Any

from handler.bootstrap import Handler
from handler.errors import TooLarge
from handler.functions.deadlines import deadline
from handler.functions.failures import raise_unfinished
from handler.functions.outcomes import encode_outcomes, outcome_bytes
from handler.functions.setup import Setup
from handler.kinds import Context, Event, Kind
from handler.pipeline.batching import embed_contents
from handler.pipeline.ports import ShardSink, Sink
from handler.pipeline.settling import settle
from handler.pipeline.splitting import split_records
from handler.pipeline.writing import flatten, write_outcomes
from handler.records import DocumentResult, Failure, Outcome, Result
from handler.service import Service
from handler.sinks.s3_shards import Receipt
from handler.sinks.shard_formats import name_shard
from handler.sources import distributed_map
from handler.sources.distributed_map import BatchInput

STATE_BYTES = 256 * 1024
"""The most that a state machine carries from one state to the next (Step Functions developer guide, "Quotas")."""


def make_handler(service: Service, setup: Setup, kind: Kind) -> Handler:
    """Make the handler of a map's batches.

    Raises:
        Unfinished: a failure is transient, or the sink refuses a result for now.
        EmbeddingError: a record can never be embedded, and there is no failure destination for it.
        TooLarge: there is no sink, and the results could be more than a state may hold.
    """
    del kind
    service = setup.service_of_records(service)

    def handle(event: Event, context: Context) -> bytes | dict[str, Any]:
        batch = BatchInput.of(event)
        end = deadline(context, batch.seconds_left(time.time()))
        records = list(distributed_map.records(event, batch.text_field or setup.text_field, use_cache=batch.use_cache))
        contents = split_records(service, records, setup.chunking, end)
        sink = setup.named_sink(batch.sink) if batch.sink else setup.sink
        if sink is None:
            _check_state(len(contents), outcome_bytes(service, contents))
        outcomes = embed_contents(service, contents, end)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        results = [outcome for outcome in outcomes if isinstance(outcome, Result | DocumentResult)]
        raise_unfinished([failure for failure in failures if failure.transient], len(outcomes))
        if sink is None:
            return encode_outcomes(outcomes)
        raise_unfinished(settle(failures, setup.destination), len(outcomes))
        unwritten, receipt = _write(sink, results)
        raise_unfinished(settle(unwritten, setup.destination), len(outcomes))
        return receipt | {"count": len(results) - len(unwritten), "failed": len(failures) + len(unwritten)}

    return handle


def _write(sink: Sink, outcomes: Sequence[Outcome]) -> tuple[list[Failure], dict[str, Any]]:
    """Write a batch's results; return the failures, and for a shard its address and checksum."""
    if not isinstance(sink, ShardSink):
        return write_outcomes(sink, outcomes, is_split=False), {}
    results = flatten(outcomes)
    match sink.write_shard(results, name_shard(results)):
        case Receipt() as receipt:
            return [], {"key": f"s3://{receipt.bucket}/{receipt.key}", "sha256": receipt.sha256}
        case list() as failures:
            return failures, {}
    return [], {}


def _check_state(count: int, bytes_each: int) -> None:
    if count * bytes_each > STATE_BYTES:
        msg = (
            f"the results of {count} records could have {count * bytes_each} bytes > {STATE_BYTES}, "
            "the most that a state machine carries: name a sink for them in SINK or in BatchInput.sink"
        )
        raise TooLarge(msg)
