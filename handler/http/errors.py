"""Failures to responses: the one table of statuses, and the one shape every failure has on the wire."""

from collections.abc import Mapping, Sequence

import orjson
from fastapi import Response

from handler import telemetry
from handler.errors import (
    Backend,
    EmbeddingError,
    Empty,
    Internal,
    Malformed,
    Tokenizer,
    TooLarge,
    Unauthorized,
    Unembeddable,
    Validation,
    error_type,
)


class UnsupportedMediaType(Malformed):
    """The body neither is JSON nor says it is."""


class NotFound(Validation):
    """No such path."""


class MethodNotAllowed(Validation):
    """The path is there, for other methods."""


STATUS: dict[type[EmbeddingError], int] = {
    Empty: 400,
    Malformed: 400,
    Unauthorized: 401,
    NotFound: 404,
    MethodNotAllowed: 405,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    Validation: 422,
    Tokenizer: 422,
    Backend: 424,  # never 503: clients answer it with a storm of retries
    Unembeddable: 424,
    Internal: 500,
}


def failure(error: EmbeddingError, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells `error`, on OpenAI's routes in OpenAI's form."""
    status, kind, sentence = STATUS[type(error)], error_type(error), str(error)
    told: object = sentence
    if path.startswith("/v1/") or path == "/embeddings":
        told = {"message": sentence, "type": kind, "code": status}
    content = orjson.dumps({"error": told, "error_type": kind})
    return Response(content, status, {**HEADERS.get(status, {}), **(headers or {})}, media_type="application/json")


HEADERS = {STATUS[Unauthorized]: {"www-authenticate": "Bearer"}}
"""What HTTP asks of a status (RFC 9110)."""


def unexpected(error: Exception, path: str) -> Response:
    """The response to a failure nobody foresaw: an id to look up in the log, and nothing of its cause."""
    incident = telemetry.log_unexpected(error)
    return failure(Internal(f"Internal error; its id in the log is {incident}"), path)


def routing_failure(method: str, path: str, allowed: Sequence[str]) -> Response:
    """The response where no route is: the path takes the methods in `allowed`, or is not there at all."""
    shown = path[:200]
    if not allowed:
        return failure(NotFound(f"There is nothing at {shown}"), path)
    methods = ", ".join(allowed)
    return failure(MethodNotAllowed(f"{method} is not allowed on {shown}; allowed: {methods}"), path, {"allow": methods})
