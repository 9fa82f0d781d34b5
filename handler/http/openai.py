"""OpenAI's dialect: `{"input": …, "model": …}` in, a list of embedding objects with their usage out."""

from typing import Any

import numpy as np
import orjson
from fastapi import Response

from handler.encoding import base64_rows, row_bytes
from handler.errors import TooLarge, Validation
from handler.http.request import Call
from handler.http.responses import answer
from handler.parsing import embedding_request
from handler.service import check_batch
from handler.vector_types import TYPES

ITEM_BYTES = len(rb"{\"object\":\"embedding\",\"index\":99999,\"embedding\":},")
"""What stands around a vector, with the backslashes of Lambda's envelope."""
MOST_TOKEN_IDS = 300_000
"""OpenAI's own limit for one request. Each becomes up to a hundred characters of text before it is truncated."""


def embeddings(call: Call) -> Response:
    """Embed `input`: a text, texts, the token ids of one text or of several."""
    fields = call.fields()
    if "input" in fields:
        fields["input"] = _texts(call, fields["input"])
    asked = embedding_request(fields, "input")
    kind = TYPES[asked.options.output_dtype or call.service.settings.output_dtype]
    dimension = asked.options.dimensions or call.service.manifest.dimension
    call.check(len(asked.texts), ITEM_BYTES + row_bytes(dimension, asked.encoding_format, kind))
    result = call.embed(asked.texts, asked.options)
    rows: Any = base64_rows(result.vectors) if asked.encoding_format == "base64" else np.ascontiguousarray(result.vectors)
    content = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": call.service.manifest.model_id,
        "usage": {"prompt_tokens": result.tokens, "total_tokens": result.tokens},
    }
    return answer(call, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def models(call: Call) -> Response:
    """The one model there is."""
    model = {"id": call.service.manifest.model_id, "object": "model", "created": 0, "owned_by": "you"}
    return Response(orjson.dumps({"object": "list", "data": [model]}), media_type="application/json")


def _texts(call: Call, given: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """`input` with token ids turned into the text they stand for; anything else as it is.

    Token ids are those of the model served, as in text-embeddings-inference: OpenAI's own would mean nothing to it.
    """
    if not isinstance(given, list) or not given:
        return given
    if _are_ids(given):
        _check_ids(len(given))
        return call.service.text_of(given)
    check_batch(call.service, len(given))
    _check_ids(sum(len(item) for item in given if isinstance(item, list)))
    return [call.service.text_of(item) if _are_ids(item) else item for item in given]


def _check_ids(count: int) -> None:
    if count > MOST_TOKEN_IDS:
        msg = f"`input` has {count} token ids > {MOST_TOKEN_IDS}, the most of one request"
        raise TooLarge(msg)


def _are_ids(item: object) -> bool:
    if not isinstance(item, list) or not item or isinstance(item[0], str | list):
        return False
    for token in item:
        if not isinstance(token, int) or isinstance(token, bool) or token < 0:
            msg = "`input` must be a string, a list of strings, a list of token ids or a list of such lists"
            raise Validation(msg)
    return True
