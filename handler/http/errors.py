"""Failures to responses: the one table of statuses, and the one shape every failure has on the wire."""

from collections.abc import Callable, Mapping, Sequence

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
from handler.http.routes import ErrorForm, error_form


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
    """Make the response for `error`, in the form that clients of `path` read."""
    status = STATUS[type(error)]
    content = orjson.dumps(BODIES[error_form(path)](status, error_type(error), str(error)))
    return Response(content, status, {**HEADERS.get(status, {}), **(headers or {})}, media_type="application/json")


BODIES: dict[ErrorForm, Callable[[int, str, str], dict[str, object]]] = {
    ErrorForm.OURS: lambda _, kind, sentence: {"error": sentence, "error_type": kind},
    ErrorForm.OPENAI: lambda status, kind, sentence: {
        "error": {"message": sentence, "type": kind, "code": status},
        "error_type": kind,
    },
}
"""Bodies of errors by their form: functions of status, error_type and sentence."""

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
