"""Routes that only text-embeddings-inference has: health, information about the model, tokens, and vectors of tokens."""

import orjson
from fastapi import Response

from handler import VERSION
from handler.encoding import encode_nested, row_bytes
from handler.errors import Backend
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.parsing import add_special_tokens
from handler.vector_types import ModelTypes


def health(request: HttpRequest) -> Response:
    """Respond with an empty object if the model is loaded, else with the error that says why it is not."""
    request.service.manifest  # noqa: B018 - raises if there is no model
    return Response(b"{}", media_type="application/json")


def info(request: HttpRequest) -> Response:
    """Respond with a description of the model and the limits."""
    manifest, settings = request.service.manifest, request.service.settings
    content = {
        "model_id": manifest.model_id,
        "model_sha": manifest.revision,
        "model_dtype": manifest.precision,
        "model_type": {"embedding": {"pooling": manifest.pooling}},
        "max_input_length": manifest.max_length,
        "max_client_batch_size": settings.max_client_batch_size,
        "max_batch_tokens": manifest.max_length * settings.max_client_batch_size,
        "auto_truncate": settings.auto_truncate,
        "prompts": manifest.prompts,
        "version": VERSION,
        "kernels": request.service.kernels or None,
        **ModelTypes(manifest.dimension, manifest.ranges).description,
        "rerank": "similarity",
    }
    return Response(orjson.dumps(content), media_type="application/json")


def tokenize(request: HttpRequest) -> Response:
    """Respond with the tokens of each text, not truncated: `[[{id, text, special, start, stop}]]`, positions in characters."""
    fields = request.fields()
    asked = request.parse(fields)
    # A tokenizer makes at most one token per byte, and a few around a text. This also bounds what is tokenized: 74 KB at most.
    most = sum(len(text.encode("utf-8", "surrogatepass")) for text in asked.texts) + SPECIAL_TOKENS * len(asked.texts)
    request.door.check_response(most, TOKEN_BYTES, "bytes of text")
    special = add_special_tokens(fields)
    tokens = request.service.tokens_of(asked.texts, asked.options, special=special, deadline=request.deadline)
    return Response(orjson.dumps(tokens), media_type="application/json")


SPECIAL_TOKENS = 4
TOKEN_BYTES = len(rb"{\"id\":9999999,\"text\":\"\",\"special\":false,\"start\":9999999,\"stop\":9999999},") + len(rb"\\u0000")
"""The most bytes that a token of one byte takes in the response, with the backslashes of Lambda's envelope."""


def embed_all(request: HttpRequest) -> Response:
    """Respond with the vector of each token of each text, after truncation and before any pooling: `[[[…]]]`."""
    asked = request.parse(request.fields())

    def check(tokens: int, hidden: int) -> None:
        request.door.check_response(tokens, row_bytes(hidden, "float"), "tokens")

    result = request.service.embed_tokens(asked.texts, asked.options, check, request.deadline)
    return embedding_response(request, encode_nested(result.vectors), result)


def refused(request: HttpRequest) -> Response:
    """Refuse a task that embedding models cannot do."""
    del request
    msg = "This model embeds: it does not predict classes or make sparse vectors"
    raise Backend(msg)
