"""text-embeddings-inference's own routes: whether the server is well, what it serves, tokens, and the vectors of each."""

import orjson
from fastapi import Response

from handler import VERSION
from handler.encoding import encode_nested, row_bytes
from handler.errors import Backend
from handler.http.request import Call
from handler.http.responses import answer
from handler.parsing import add_special_tokens, embedding_request
from handler.service import check_batch
from handler.vector_types import ModelTypes


def health(call: Call) -> Response:
    """200 and an empty object where the model is loaded; the failure that says why where it is not."""
    call.service.manifest  # noqa: B018 - raises where there is no model
    return Response(b"{}", media_type="application/json")


def info(call: Call) -> Response:
    """The model and the limits."""
    manifest, settings = call.service.manifest, call.service.settings
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
        "kernels": call.service.kernels or None,
        **ModelTypes(manifest.dimension, manifest.ranges).described,
    }
    return Response(orjson.dumps(content), media_type="application/json")


def tokenize(call: Call) -> Response:
    """Each text's tokens, uncut: `[[{id, text, special, start, stop}]]`, places in characters."""
    fields = call.fields()
    asked = embedding_request(fields)
    check_batch(call.service, len(asked.texts))
    # A tokenizer makes at most one token of a byte, and a few around a text. This bounds what is tokenized, too: 74 KB at most.
    most = sum(len(text.encode("utf-8", "surrogatepass")) for text in asked.texts) + SPECIAL_TOKENS * len(asked.texts)
    call.door.check_response(most, TOKEN_BYTES, "bytes of text")
    special = add_special_tokens(fields)
    tokens = call.service.tokens_of(asked.texts, asked.options, special=special, deadline=call.deadline)
    return Response(orjson.dumps(tokens), media_type="application/json")


SPECIAL_TOKENS = 4
TOKEN_BYTES = len(rb"{\"id\":9999999,\"text\":\"\",\"special\":false,\"start\":9999999,\"stop\":9999999},") + len(rb"\\u0000")
"""The most that a token of one byte takes, with the backslashes of Lambda's envelope."""


def embed_all(call: Call) -> Response:
    """The vector of each token of each text, after truncation and before any pooling: `[[[…]]]`."""
    asked = embedding_request(call.fields())
    check_batch(call.service, len(asked.texts))

    def check(tokens: int, hidden: int) -> None:
        call.door.check_response(tokens, row_bytes(hidden, "float"), "tokens")

    result = call.service.embed_tokens(asked.texts, asked.options, check, call.deadline)
    return answer(call, encode_nested(result.vectors), result)


def refused(call: Call) -> Response:
    """Tasks of other models."""
    del call
    msg = "This model embeds: it does not rerank, predict classes or make sparse vectors"
    raise Backend(msg)
