"""Plain invocations, `{"inputs": …}` and `{"records": […]}`, which every function answers, and how failures leave a function.

Law: knows nothing of HTTP frameworks: the pipeline must not import them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from handler import telemetry
from handler.bootstrap import Handler
from handler.doors import DIRECT, remaining_ms
from handler.encoding import encode_vectors, row_bytes, to_json
from handler.errors import Backend, EmbeddingError, Empty, Internal, Tokenizer, Unfinished, Validation, error_type
from handler.functions.request_log import with_request_log
from handler.parsing import embedding_request
from handler.pipeline.batching import embedded
from handler.records import Content, Failure, Nothing, Record, Result
from handler.service import Service, check_batch
from handler.sources import described, direct
from handler.sources.reading import TEXT_FIELD
from handler.vector_types import TYPES
from handler.vectors import NEVER

PUBLIC: dict[str, type[EmbeddingError]] = {
    kind.__name__: kind for kind in (Empty, Validation, Tokenizer, Backend, Unfinished, Internal)
}

BESIDE_BYTES = 600
"""Room beside a vector for counts and names, or in its place for a failure's sentence."""


def answering(service: Service) -> Handler:
    """How a function answers that knows of no other events: the rest is refused by name."""
    invoked = with_request_log(
        service, lambda metered: lambda event, context: told(lambda: invoke(event, context, metered)), lambda _: direct.NAME
    )

    def answer(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        return invoked(event, context) if direct.matches(event) else told(lambda: _refused(event))

    return answer


def _refused(event: object) -> bytes:
    msg = f'This function answers HTTP requests, {{"inputs": …}} and {{"records": […]}}. Given: {described(event)}'
    raise Validation(msg)


def told[T](answer: Callable[[], T]) -> T:
    """What `answer` gives.

    Raises:
        EmbeddingError: named by its error_type, so that Step Functions' Retry and Catch can match it.
    """
    try:
        return answer()
    except EmbeddingError as error:
        named = PUBLIC[error_type(error)](str(error))
    except Exception as error:  # noqa: BLE001 - the last line before the caller
        named = Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}")
    raise named


def invoke(event: Any, context: Any, service: Service, text_field: str = TEXT_FIELD) -> bytes:  # noqa: ANN401 - whatever was sent
    """Answer `{"inputs": …}` with the JSON of its vectors, `{"records": […]}` with a result or a failure for each.

    Bytes reach the caller as they are; an object would be encoded again, at seven times the cost.

    Raises:
        EmbeddingError: the vectors of `inputs` cannot be made, or `records` are none. A record's own failure is told in its place.
    """
    deadline = DIRECT.deadline({}, remaining_ms(context))
    if "inputs" in event:
        asked = embedding_request(event)
        check_batch(service, len(asked.texts))
        kind = TYPES[asked.options.output_dtype or service.settings.output_dtype]
        dimension = asked.options.dimensions or service.manifest.dimension
        DIRECT.check_response(len(asked.texts), row_bytes(dimension, asked.encoding_format, kind))
        result = service.embed(asked.texts, asked.options, deadline)
        return encode_vectors(result.vectors, asked.encoding_format)
    records = list(direct.records(event, text_field))
    check_batch(service, len(records))
    check_reply(service, records, DIRECT.check_response)
    return encode_outcomes(outcomes(service, records, deadline))


def outcomes(service: Service, contents: Sequence[Content], deadline: float = NEVER) -> list[Result | Content]:
    """What became of each content, in their order."""
    made = iter(embedded(service, [content for content in contents if isinstance(content, Record)], deadline))
    return [next(made) if isinstance(content, Record) else content for content in contents]


def check_reply(service: Service, contents: Sequence[Content], check: Callable[[int, int, str], None]) -> None:
    """Hold the largest answer that these contents can have against `check`, before anything is computed."""
    sent = sum(len(to_json([content.id, content.metadata])) for content in contents if isinstance(content, Record))
    each = row_bytes(service.manifest.dimension, "float") + BESIDE_BYTES + sent // max(1, len(contents))
    check(len(contents), each, "records")


def encode_outcomes(outcomes: Sequence[Result | Content]) -> bytes:
    """The JSON of what became of each record, one by one: what is strange in one makes no other longer."""
    return b"[" + b",".join(to_json(_told(outcome)) for outcome in outcomes) + b"]"


def _told(outcome: Result | Content) -> dict[str, Any]:
    match outcome:
        case Result(record, vector, tokens, truncated):
            made = {"id": record.id, "embedding": np.ascontiguousarray(vector), "tokens": tokens, "truncated": truncated}
            return made | ({"metadata": record.metadata} if record.metadata else {})
        case Failure():
            return {"id": outcome.id, "error": outcome.error, "error_type": outcome.error_type}
        case Nothing():
            return {"id": outcome.id, "skipped": outcome.reason}
    msg = "an object has no place among answers"
    raise TypeError(msg)
