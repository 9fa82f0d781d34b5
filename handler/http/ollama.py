"""Ollama's dialect: `{"model", "input"}` to `{"embeddings"}`, and the lists that its clients read before they embed.

`options` and `keep_alive` are ignored, and the model that a request names, too: the endpoint has one model.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
from fastapi import Response

from handler import VERSION
from handler.encoding import row_bytes
from handler.errors import naming
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.parsing import options, text
from handler.vector_types import FLOAT32


def embed(request: HttpRequest) -> Response:
    """Embed `input`, a text or a list of texts; durations are in nanoseconds."""
    asked = request.parse(request.fields(), "input")
    manifest = request.service.manifest
    request.door.check_response(len(asked.texts), row_bytes(asked.options.dimensions or manifest.dimension, "float"))
    with naming(("input", len(asked.texts))):
        result = request.embed(asked.texts, replace(asked.options, output_dtype=FLOAT32.name))
    content = {
        "model": manifest.model_id,
        "embeddings": np.ascontiguousarray(result.vectors),
        "total_duration": time.perf_counter_ns() - request.started_ns,
        "load_duration": 0,  # the model is loaded before the request
        "prompt_eval_count": result.tokens,
    }
    return embedding_response(request, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def embeddings(request: HttpRequest) -> Response:
    """Embed `prompt`, one text, as older clients send it."""
    fields = request.fields()
    with naming(("prompt", 1)):
        result = request.embed([text(fields, "prompt")], replace(options(fields), output_dtype=FLOAT32.name))
    content = {"embedding": np.ascontiguousarray(result.vectors[0])}
    return embedding_response(request, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def tags(request: HttpRequest) -> Response:
    """List the one model. It has no date and no size on a disk of the client's: both are 0."""
    manifest = request.service.manifest
    model = {
        "name": manifest.model_id,
        "model": manifest.model_id,
        "modified_at": "1970-01-01T00:00:00Z",
        "size": 0,
        "digest": manifest.digest,
        "details": {
            "format": "onnx",
            "family": manifest.architecture,
            "families": [manifest.architecture],
            "quantization_level": manifest.precision,
        },
    }
    return _json({"models": [model]})


def version(request: HttpRequest) -> Response:
    """Return the version of this endpoint."""
    del request
    return _json({"version": VERSION})


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
