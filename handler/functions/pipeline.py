"""The pipeline function: records from events, vectors to a sink or into the reply. It never imports the HTTP framework."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from handler import telemetry
from handler.bootstrap import Handler, lambda_function, load_service
from handler.config import PipelineSettings
from handler.doors import DIRECT, remaining_ms
from handler.errors import Backend, TooLarge, Unfinished
from handler.functions.direct import PUBLIC, check_reply, encode_outcomes, invoke, outcomes, told
from handler.functions.request_log import with_request_log
from handler.pipeline.messages import Pipeline
from handler.pipeline.ports import FailureDestination, Float32Only, Objects, Shards, Sink
from handler.records import Failure, Result
from handler.service import Service
from handler.sinks import failure_destination_from, sink_from
from handler.sinks.s3_shards import Receipt
from handler.sinks.shards import name_of
from handler.sources import direct, distributed_map, name_of_source, pipes, source_of
from handler.sources.continuations import objects_of
from handler.sources.distributed_map import BatchInput
from handler.sources.visibility import GiveBack, giving_back
from handler.vector_types import FLOAT32

STATE_BYTES = 256 * 1024
"""The most that a state machine carries from one state to the next."""
MARGIN_SECONDS, MARGIN_SHARE = 10.0, 0.2
"""Kept of the time left for writing what is embedded by then: so many seconds, but of a short time no more than that share."""
BATCH_SINK = "BatchInput.sink"
UNTOLD_SECONDS = 900.0
"""The time left where no context tells it: the most that Lambda gives."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that the settings name, made once, at init. `named_sink` makes a sink that a batch names.

    `give_back` has failed messages of a queue retried before the queue's visibility time-out is over.
    """

    settings: PipelineSettings
    sink: Sink | None
    destination: FailureDestination | None
    objects: Objects
    named_sink: Callable[[str], Sink]
    give_back: GiveBack = lambda _, __: None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Parts":
        """Make them.

        Raises:
            Backend: a setting cannot be used; the sentence names it and its value.
        """
        settings = PipelineSettings.from_environment(environment)
        destination = settings.failure_destination

        @cache
        def named_sink(uri: str) -> Sink:
            settings.check_output(BATCH_SINK, uri)
            return _taking(settings.output_dtype, sink_from(uri, BATCH_SINK), f"{BATCH_SINK} {uri}")

        return cls(
            settings,
            _taking(settings.output_dtype, sink_from(settings.sink), f"SINK {settings.sink}") if settings.sink else None,
            failure_destination_from(destination) if destination else None,
            objects_of(settings),
            named_sink,
            giving_back(),
        )


def _taking(output_dtype: str, sink: Sink, name: str) -> Sink:
    """Return a sink that takes vectors of the deployment's type.

    Raises:
        Backend: it does not.
    """
    if isinstance(sink, Float32Only) and output_dtype != FLOAT32.name:
        msg = (
            f"{name} takes float32 vectors alone, and OUTPUT_DTYPE is {output_dtype}: leave OUTPUT_DTYPE out, or name another sink"
        )
        raise Backend(msg)
    return sink


def answering(service: Service, parts: Parts) -> Handler:
    """How this function answers an event."""
    pipeline = Pipeline(service, parts.sink, parts.destination, parts.objects) if parts.sink else None
    text_field = parts.settings.text_field

    def answer(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        if direct.matches(event):
            return invoke(event, context, service, text_field)
        if distributed_map.matches(event):
            return _batch(event, service, parts, context)
        if pipes.matches(event):
            return _enriched(event, service, text_field, _deadline(context))
        source = source_of(event)
        if pipeline is None:
            msg = f"SINK must be set for events of {source.NAME}: there is no reply to put vectors into"
            raise Backend(msg)
        try:
            failures = pipeline.run(source.records(event, text_field), _deadline(context))
        except Exception:
            parts.give_back(event, None)
            raise
        if failures:
            parts.give_back(event, {failure.origin.message for failure in failures})
        return source.reply(failures)

    return lambda event, context: told(lambda: answer(event, context))


def refusing(reason: Backend) -> Handler:
    """How this function answers where its settings cannot be used: every event is refused with the sentence that says why."""
    telemetry.log("settings_refused", reason=str(reason))

    def refuse() -> None:
        raise Backend(str(reason))

    return lambda _, __: told(refuse)


def _enriched(event: Any, service: Service, text_field: str, deadline: float) -> bytes:  # noqa: ANN401 - Lambda's own type
    """A pipe's elements, each with its vector or its failure in its place; where one may yet succeed, the pipe tries all again.

    Raises:
        Unfinished: one may.
        TooLarge: the answer is more than the function may give.
    """
    contents = list(pipes.records(event, text_field))
    check_reply(service, contents, DIRECT.check_response)
    found = outcomes(service, contents, deadline)
    _raise_left([outcome for outcome in found if isinstance(outcome, Failure) and outcome.transient], len(found))
    return encode_outcomes(found)


def _batch(event: Any, service: Service, parts: Parts, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
    """A map's batch, written to the sink and told by a receipt; without a sink, the results themselves.

    Raises:
        Unfinished: something is left over that may yet succeed.
        EmbeddingError: a record can never be embedded, and there is no failure destination to keep it.
        TooLarge: the results are more than a state may hold.
    """
    given = BatchInput.of(event)
    deadline = _deadline(context, given.seconds_left(time.time()))
    text_field = given.text_field or parts.settings.text_field
    contents = list(distributed_map.records(event, text_field, use_cache=given.use_cache))
    sink = parts.named_sink(given.sink) if given.sink else parts.sink
    if sink is None:
        check_reply(service, contents, _check_state)
    found = outcomes(service, contents, deadline)
    failures = [outcome for outcome in found if isinstance(outcome, Failure)]
    results = [outcome for outcome in found if isinstance(outcome, Result)]
    _raise_left([failure for failure in failures if failure.transient], len(found))
    if sink is None:
        return encode_outcomes(found)
    pipeline = Pipeline(service, sink, parts.destination, parts.objects)
    _raise_left(pipeline.settled(failures), len(found))
    receipt: dict[str, Any] = {}
    if isinstance(sink, Shards):
        written = sink.write_shard(results, name_of(results))
        unwritten = written if isinstance(written, list) else []
        if isinstance(written, Receipt):
            receipt = {"key": f"s3://{written.bucket}/{written.key}", "sha256": written.sha256}
    else:
        unwritten = sink.write(results)
    _raise_left(pipeline.settled(unwritten), len(found))
    return receipt | {"count": len(results) - len(unwritten), "failed": len(failures) + len(unwritten)}


def _check_state(count: int, bytes_each: int, what: str) -> None:
    if count * bytes_each > STATE_BYTES:
        msg = (
            f"the results of {count} {what} could have {count * bytes_each} bytes > {STATE_BYTES}, "
            "the most that a state machine carries: name a sink for them in SINK or in BatchInput.sink"
        )
        raise TooLarge(msg)


def _raise_left(left: Sequence[Failure], count: int) -> None:
    """Fail by what may yet succeed, if there is any, else by what never will."""
    if left:
        transient = [failure for failure in left if failure.transient]
        first = next(iter(transient), left[0])
        kind = Unfinished if transient else PUBLIC[first.error_type]
        msg = f"{len(left)} of {count} records are not done, the first because: {first.error}"
        raise kind(msg)


def _deadline(context: Any, batch_seconds: float = UNTOLD_SECONDS) -> float:  # noqa: ANN401 - Lambda's own type
    """The time.monotonic() until which texts are embedded: before the function's time is over, and before the batch's is."""
    told_ms = remaining_ms(context)
    left = min(UNTOLD_SECONDS if told_ms is None else told_ms / 1000, batch_seconds)
    return time.monotonic() + left - min(MARGIN_SECONDS, MARGIN_SHARE * left)


def from_environment(environment: Mapping[str, str], service: Service) -> Handler:
    """How this function answers, by these settings."""
    try:
        parts = Parts.of(environment)
    except Backend as reason:
        return refusing(reason)
    return with_request_log(service, lambda metered: answering(metered, parts), name_of_source)


handler = lambda_function(lambda environment, later: from_environment(environment, load_service(environment, later)))
