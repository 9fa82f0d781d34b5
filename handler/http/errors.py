"""Errors to responses: the status of each type of error, and the shape of its body for each kind of client."""

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
    Unfinished,
    Validation,
    error_type,
)
from handler.http.routes import ErrorForm, error_form


class UnsupportedMediaType(Malformed):
    """The body is not JSON, and its content type does not say that it is."""


class NotFound(Validation):
    """The path does not exist, or names another model."""


class MethodNotAllowed(Validation):
    """The path exists for other methods only."""


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
    Backend: 424,  # never 503: clients retry it many times at once
    Internal: 500,
    Unfinished: 500,  # only the pipeline raises it
}
"""A type that is not in the table has the status of its base class."""
STATUS_HEADERS = {STATUS[Unauthorized]: {"www-authenticate": "Bearer"}}
"""Headers that HTTP requires with a status (RFC 9110)."""
AWS_TYPES = {
    STATUS[Unauthorized]: "AccessDeniedException",
    STATUS[Backend]: "ModelErrorException",
    STATUS[Internal]: "InternalServerException",
}
"""Bedrock's names of errors, which boto3 raises as exceptions."""
BODIES: dict[ErrorForm, Callable[[int, str, str], dict[str, object]]] = {
    ErrorForm.OURS: lambda _, kind, sentence: {"error": sentence, "error_type": kind},
    ErrorForm.OPENAI: lambda status, kind, sentence: {
        "error": {"message": sentence, "type": kind, "code": status},
        "error_type": kind,
        # The clients of other providers that share these paths read one of these.
        "detail": sentence,
        "message": sentence,
    },
    ErrorForm.COHERE: lambda _, kind, sentence: {"message": sentence, "error": sentence, "error_type": kind},
    ErrorForm.AWS: lambda status, kind, sentence: {
        "message": sentence,
        "__type": AWS_TYPES.get(status, "ValidationException"),
        "error": sentence,
        "error_type": kind,
    },
}
"""Bodies of errors by their form: functions of status, error_type and sentence."""


def status_of(error: type[EmbeddingError]) -> int:
    """Return the status of the closest type in the table: the error's own or a base class."""
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def failure(error: EmbeddingError, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Make the response for an error, in the form that clients of `path` read."""
    status = status_of(type(error))
    content = orjson.dumps(BODIES[error_form(path)](status, error_type(error), str(error)))
    return Response(content, status, {**STATUS_HEADERS.get(status, {}), **(headers or {})}, media_type="application/json")


def unexpected(error: Exception, path: str) -> Response:
    """Log an error that no code expected, and make a response that has only its id in the log."""
    incident = telemetry.log_unexpected(error)
    return failure(Internal(f"Internal error; its id in the log is {incident}"), path)


def routing_failure(method: str, path: str, allowed: Sequence[str]) -> Response:
    """Make the response if no route matches: 405 if the path has the methods in `allowed`, 404 if it has none."""
    shown = path[:200]
    if not allowed:
        return failure(NotFound(f"There is nothing at {shown}"), path)
    methods = ", ".join(allowed)
    return failure(MethodNotAllowed(f"{method} is not allowed on {shown}; allowed: {methods}"), path, {"allow": methods})
