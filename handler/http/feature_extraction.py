"""Hugging Face's feature-extraction dialect: `{"inputs": …}` in, an array of arrays out."""

import time
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request, Response

from handler.errors import Malformed, Validation
from handler.http.caching import cache_headers, obeying
from handler.http.encoding import encode_vectors
from handler.http.errors import UnsupportedMediaType
from handler.parsing import embedding_request
from handler.service import Embeddings, Service

NS_PER_MS = 1_000_000
ERAS = ("parameters", "options")
"""Objects in which clients of different years put the options; a later one wins over an earlier one and over the root."""


async def feature_extraction(request: Request, service: Service) -> Response:
    """Embed the inputs of one request."""
    started = time.perf_counter_ns()
    asked = embedding_request(merged(read_json(await request.body(), request.headers.get("content-type"))))
    result = service.embed(asked.texts, obeying(request.headers, asked.options))
    content = encode_vectors(result.vectors, asked.encoding_format)
    headers = _headers(result, time.perf_counter_ns() - started)
    return Response(content, headers=headers, media_type="application/json")


def read_json(body: bytes, content_type: str | None) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The body as JSON, whatever content type it says it has.

    Raises:
        Malformed: it is not JSON.
        UnsupportedMediaType: it is not JSON and does not say it is.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if body and content_type and "json" not in content_type.lower():
            msg = f"The body is not JSON. Send JSON as application/json. Given: {content_type[:100]}"
            raise UnsupportedMediaType(msg) from None
        reason = "it is empty" if not body else str(error)
        msg = f"The body is not valid JSON: {reason}"
        raise Malformed(msg) from None


def merged(body: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """The fields of a body of any era, at one level. A bare string or list is taken as `inputs`.

    Raises:
        Validation: the body, or one of its eras' objects, is no object.
    """
    if isinstance(body, str | list):
        return {"inputs": body}
    if not isinstance(body, dict):
        msg = 'The body must be an object like {"inputs": "a text"}, a string or a list of strings'
        raise Validation(msg)
    fields = dict(body)
    for era in ERAS:
        options = fields.pop(era, None) or {}
        if not isinstance(options, dict):
            msg = f"`{era}` must be an object"
            raise Validation(msg)
        fields |= {name: value for name, value in options.items() if name != "inputs"}
    return fields


def _headers(result: Embeddings, total_ns: int) -> dict[str, str]:
    """What the answer took, in whole milliseconds as text-embeddings-inference tells it."""
    headers = {
        **cache_headers(result),
        "x-compute-time": str(total_ns // NS_PER_MS),
        "x-total-time": str(total_ns // NS_PER_MS),
        "x-tokenization-time": str(result.tokenization_ns // NS_PER_MS),
        "x-inference-time": str(result.inference_ns // NS_PER_MS),
        "x-compute-characters": str(result.characters),
        "x-compute-tokens": str(result.tokens),
    }
    if result.truncated:
        headers["x-hf-warning"] = (
            f"truncation; {result.truncated} of {len(result.vectors)} inputs were cut to {result.max_length} tokens"
        )
    return headers
