"""Plain invocations, `{"inputs": …}` and `{"records": […]}`, which every function answers, and how failures leave a function.

Law: knows nothing of HTTP frameworks: the pipeline must not import them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from handler import telemetry
from handler.errors import (
    Backend,
    EmbeddingError,
    Empty,
    Internal,
    Tokenizer,
    Unfinished,
    Validation,
    error_type,
    kind,
    shown,
)
from handler.http.doors import DIRECT, remaining_ms
from handler.http.encoding import encode_vectors, row_bytes
from handler.parsing import embedding_request
from handler.pipeline import embedded
from handler.records import Content, Failure, Nothing, Origin, Record, Result
from handler.service import Service, check_batch
from handler.sources.reading import TEXT_FIELD, record_of

FAILURE_BYTES = 500
"""Room for a failure's sentence, or for an id, beside a vector."""


def is_direct(event: object) -> bool:
    """Whether an event is a plain invocation: no event source's has either field at its root."""
    return isinstance(event, dict) and ("inputs" in event or "records" in event)


def invoke(event: Any, context: Any, service: Service, text_field: str = TEXT_FIELD) -> bytes:  # noqa: ANN401 - whatever was sent
    """Answer `{"inputs": …}` with the JSON of its vectors, `{"records": […]}` with a result or a failure for each.

    Bytes reach the caller as they are; an object would be encoded again, at seven times the cost.

    Raises:
        Validation: the event is neither.
        EmbeddingError: the vectors of `inputs` cannot be made. A record's own failure is told in its place.
    """
    if not is_direct(event):
        msg = f'This function answers HTTP requests, {{"inputs": …}} and {{"records": […]}}. Given: {described(event)}'
        raise Validation(msg)
    deadline = DIRECT.deadline({}, remaining_ms(context))
    if "inputs" not in event:
        records = event["records"]
        if not isinstance(records, list):
            msg = f"`records` must be a list. Given: {kind(records)}"
            raise Validation(msg)
        check_batch(service, len(records))
        DIRECT.check_response(len(records), row_bytes(service.manifest.dimension, "float") + FAILURE_BYTES, "records")
        contents = [record_of(fields, str(place), Origin(place), text_field) for place, fields in enumerate(records)]
        return encode_outcomes(outcomes(service, contents, deadline))
    asked = embedding_request(event)
    check_batch(service, len(asked.texts))
    dimension = asked.options.dimensions or service.manifest.dimension
    DIRECT.check_response(len(asked.texts), row_bytes(dimension, asked.encoding_format))
    result = service.embed(asked.texts, asked.options, deadline)
    return encode_vectors(result.vectors, asked.encoding_format)
