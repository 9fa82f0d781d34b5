"""The response of a dialect that embedded texts: its content, and headers that say what the work took.

HEADERS is the one table of them: they are sent, exposed to browsers by CORS, and documented from it.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import Response

from handler.http.request import HttpRequest
from handler.service import Embeddings

NS_PER_MS = 1_000_000


class Work(NamedTuple):
    """The work of one request, from which its headers are made."""

    result: Embeddings[Any]
    total_ms: int
    model_sha: str
    warning: str


HEADERS: dict[str, tuple[str, Callable[[Work], object]]] = {
    "x-compute-type": (
        "`cpu`, or `cache` if every vector came from the cache.",
        lambda work: "cache" if work.result.hits == len(work.result.vectors) else "cpu",
    ),
    "x-cache-hits": ("Number of texts whose vector came from the cache.", lambda work: work.result.hits),
    "x-cache-misses": ("Number of texts whose vector was not in the cache.", lambda work: work.result.misses),
    "x-compute-time": ("Milliseconds in total.", lambda work: work.total_ms),
    "x-total-time": ("Milliseconds in total.", lambda work: work.total_ms),
    "x-tokenization-time": ("Milliseconds of tokenization.", lambda work: work.result.tokenization_ns // NS_PER_MS),
    "x-inference-time": ("Milliseconds in the model.", lambda work: work.result.inference_ns // NS_PER_MS),
    "x-compute-characters": ("Characters of all texts.", lambda work: work.result.characters),
    "x-compute-tokens": ("Tokens of all texts, after truncation.", lambda work: work.result.tokens),
    "x-model-sha": ("Digest of the model's manifest.", lambda work: work.model_sha),
    "x-hf-warning": (
        "Sent only if texts were truncated, or an option has no effect: says how many and to how many tokens, or which.",
        lambda work: _ascii(", ".join(filter(None, (_truncation(work.result), work.warning)))) or None,
    ),
}
"""By name: the description, and the value; None leaves the header out."""
REQUEST_ID = "x-request-id"
"""Every response has Lambda's id of its invocation, under which the log has it; the middleware adds it."""
EXPOSED_HEADERS = (*HEADERS, REQUEST_ID)


def embedding_response(
    request: HttpRequest, content: bytes, result: Embeddings[Any], warning: str = "", model_sha: str = ""
) -> Response:
    """Make a JSON response with the table's headers; durations are whole milliseconds, as in text-embeddings-inference.

    `warning` is one of the dialect's own. `model_sha` is that of another model than the one that embeds.
    """
    request.figures.update(result.figures)
    total_ms = (time.perf_counter_ns() - request.started_ns) // NS_PER_MS
    work = Work(result, total_ms, model_sha or request.service.manifest.digest, warning)
    values = {name: value(work) for name, (_, value) in HEADERS.items()}
    headers = {name: str(value) for name, value in values.items() if value is not None}
    return Response(content, headers=headers, media_type="application/json")


def _ascii(value: str) -> str:
    """Return text that a header can hold: Starlette raises for a character beyond Latin-1."""
    return value.encode("ascii", "backslashreplace").decode("ascii")


def _truncation(result: Embeddings[Any]) -> str | None:
    if not result.truncated:
        return None
    return f"truncation; {result.truncated} of {len(result.vectors)} inputs were cut to {result.max_length} tokens"
