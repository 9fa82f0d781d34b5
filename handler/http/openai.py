"""OpenAI's dialect: the request is `{"input": …, "model": …}`, the response a list of embedding objects and their usage."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from fastapi import Response

from handler.encoding import base64_rows, largest_row
from handler.errors import naming
from handler.http import openai_variants
from handler.http.openai_variants import translate
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.http.token_ids import are_ids, check_count

ITEM_BYTES = len(rb"{\"object\":\"embedding\",\"index\":99999,\"embedding\":},")
"""Bytes of the object around a vector, with the backslashes of Lambda's envelope."""
EXPECTED = "`input` must be a string, a list of strings, a list of token ids or a list of such lists"


def embeddings(request: HttpRequest) -> Response:
    """Embed `input`: a text, texts, the token ids of one text or of several.

    Token ids are those of the model served, as in text-embeddings-inference: OpenAI's own would mean nothing to it.
    """
    fields, warning = translate(request.fields(), request.service.manifest.prompts)
    text_of = request.service.text_of
    given = fields.get("input")
    if are_ids(given, EXPECTED):
        check_count("input", len(given))
        fields["input"] = text_of(given)
    asked = request.parse(fields, "input", lambda texts: _decoded(texts, text_of))
    request.door.check_response(len(asked.texts), ITEM_BYTES + largest_row(asked, request.service))
    with naming(("input", len(asked.texts))):
        result = request.embed(asked.texts, asked.options)
    rows: Any = base64_rows(result.vectors) if asked.encoding_format == "base64" else np.ascontiguousarray(result.vectors)
    content = {
        "id": f"embd-{os.urandom(12).hex()}",  # OpenAI sends none, but Mistral's client requires one
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": request.service.manifest.model_id,
        "usage": {"prompt_tokens": result.tokens, "total_tokens": result.tokens},
    }
    return embedding_response(request, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result, warning)


def models(request: HttpRequest) -> Response:
    """List the one model that is served."""
    return Response(orjson.dumps({"object": "list", "data": [_model(request)]}), media_type="application/json")


def model(request: HttpRequest) -> Response:
    """Describe the model in the path, if it is the one that is served."""
    request.check_model()
    return Response(orjson.dumps(_model(request)), media_type="application/json")


def _model(request: HttpRequest) -> dict[str, object]:
    return {"id": request.service.manifest.model_id, "object": "model", "created": 0, "owned_by": "you"}


def _decoded(texts: list[Any], text_of: Callable[[list[int]], str]) -> list[Any]:
    """Replace each list of token ids with the text that it stands for."""
    check_count("input", sum(len(item) for item in texts if isinstance(item, list)))
    return [
        text_of(item) if are_ids(item, EXPECTED) else openai_variants.text_of(item, f"input[{index}]")
        for index, item in enumerate(texts)
    ]
