"""OpenAI's dialect: the request is `{"input": …, "model": …}`, the response a list of embedding objects and their usage."""

from collections.abc import Callable
from typing import Any, TypeIs

import numpy as np
import orjson
from fastapi import Response

from handler.encoding import base64_rows, largest_row
from handler.errors import TooLarge, Validation
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response

ITEM_BYTES = len(rb"{\"object\":\"embedding\",\"index\":99999,\"embedding\":},")
"""Bytes of the object around a vector, with the backslashes of Lambda's envelope."""
MOST_TOKEN_IDS = 300_000
"""OpenAI's own limit for one request. Each token id becomes up to a hundred characters of text, before truncation."""


def embeddings(request: HttpRequest) -> Response:
    """Embed `input`: a text, texts, the token ids of one text or of several.

    Token ids are those of the model served, as in text-embeddings-inference: OpenAI's own would mean nothing to it.
    """
    fields = request.fields()
    text_of = request.service.text_of
    given = fields.get("input")
    if _are_ids(given):
        _check_ids(len(given))
        fields["input"] = text_of(given)
    asked = request.parse(fields, "input", lambda texts: _decoded(texts, text_of))
    request.door.check_response(len(asked.texts), ITEM_BYTES + largest_row(asked, request.service))
    result = request.embed(asked.texts, asked.options)
    rows: Any = base64_rows(result.vectors) if asked.encoding_format == "base64" else np.ascontiguousarray(result.vectors)
    content = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": request.service.manifest.model_id,
        "usage": {"prompt_tokens": result.tokens, "total_tokens": result.tokens},
    }
    return embedding_response(request, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def models(request: HttpRequest) -> Response:
    """List the one model that is served."""
    model = {"id": request.service.manifest.model_id, "object": "model", "created": 0, "owned_by": "you"}
    return Response(orjson.dumps({"object": "list", "data": [model]}), media_type="application/json")


def _decoded(texts: list[Any], text_of: Callable[[list[int]], str]) -> list[Any]:
    """Replace each list of token ids with the text that it stands for."""
    _check_ids(sum(len(item) for item in texts if isinstance(item, list)))
    return [text_of(item) if _are_ids(item) else item for item in texts]


def _check_ids(count: int) -> None:
    if count > MOST_TOKEN_IDS:
        msg = f"`input` has {count} token ids > {MOST_TOKEN_IDS}, the most of one request"
        raise TooLarge(msg)


def _are_ids(item: object) -> TypeIs[list[int]]:
    """Return whether `item` is a list of token ids.

    Raises:
        Validation: it begins like one, but something in it is no token id.
    """
    if not isinstance(item, list) or not item or isinstance(item[0], str | list):
        return False
    for token in item:
        if not isinstance(token, int) or isinstance(token, bool) or token < 0:
            msg = "`input` must be a string, a list of strings, a list of token ids or a list of such lists"
            raise Validation(msg)
    return True
