"""Routes that only text-embeddings-inference has: health, information about the model, tokens, and vectors of tokens."""

from typing import Any

import orjson
from fastapi import Response

from handler import VERSION
from handler.encoding import encode_nested, row_bytes
from handler.errors import Backend, Empty, Validation, naming
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.http.token_ids import are_ids, check_count
from handler.parsing import check_batch, flag
from handler.service import Reranker
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
        "max_concurrent_requests": None,  # Lambda adds environments as requests come
        "max_batch_requests": None,
        "tokenization_workers": None,
        "auto_truncate": settings.auto_truncate,
        "prompts": manifest.prompts,
        "version": VERSION,
        "sha": None,
        "docker_label": None,
        "kernels": request.service.kernels or None,
        **ModelTypes(manifest.dimension, manifest.ranges).description,
        "output_dtype": settings.output_dtype,
        **_rerank(request.service.reranker),
        "search": bool(settings.search_index_arn),
    }
    return Response(orjson.dumps(content), media_type="application/json")


def _rerank(reranker: Reranker | None) -> dict[str, Any]:
    """Describe what the scores of reranking are. `reranker` is null until the first request for it has loaded that model."""
    if reranker is None:
        return {"rerank": "similarity"}
    manifest = reranker.manifest
    known = manifest and {
        "model_id": manifest.model_id,
        "model_sha": manifest.revision,
        "model_dtype": manifest.precision,
        "max_input_length": manifest.max_length,
        "activation": manifest.activation,
    }
    return {"rerank": "cross-encoder", "reranker": known}


def tokenize(request: HttpRequest) -> Response:
    """Respond with the tokens of each text, not truncated: `[[{id, text, special, start, stop}]]`, positions in characters."""
    fields = request.fields()
    asked = request.parse(fields)
    # A tokenizer makes at most one token per byte, and a few around a text. This also bounds what is tokenized: 74 KB at most.
    most = sum(len(text.encode("utf-8", "surrogatepass")) for text in asked.texts) + SPECIAL_TOKENS * len(asked.texts)
    request.door.check_response(most, TOKEN_BYTES, "bytes of text")
    special = flag(fields, "add_special_tokens")
    tokens = request.service.tokens_of(asked.texts, asked.options, special=special, deadline=request.deadline)
    return Response(orjson.dumps(tokens), media_type="application/json")


SPECIAL_TOKENS = 4
TOKEN_BYTES = len(rb"{\"id\":9999999,\"text\":\"\",\"special\":false,\"start\":9999999,\"stop\":9999999},") + len(rb"\\u0000")
"""The most bytes that a token of one byte takes in the response, with the backslashes of Lambda's envelope."""


def decode(request: HttpRequest) -> Response:
    """Respond with the text of each list of token ids in `ids`; a single list is one text."""
    fields = request.fields()
    skip_special_tokens = flag(fields, "skip_special_tokens")
    given = fields.get("ids")
    lists = [given] if are_ids(given, EXPECTED_IDS) else given
    if not isinstance(lists, list):
        raise Validation(EXPECTED_IDS)
    check_batch(request.service.settings.max_client_batch_size, len(lists))
    count = sum(len(ids) for ids in lists if isinstance(ids, list))
    check_count("ids", count)
    if not lists or [] in lists:
        msg = f"`ids[{lists.index([])}]` cannot be empty" if len(lists) > 1 else "`ids` cannot be empty"
        raise Empty(msg)
    texts = []
    for ids in lists:
        if not are_ids(ids, EXPECTED_IDS):
            raise Validation(EXPECTED_IDS)
        texts.append(request.service.decode(ids, skip_special_tokens=skip_special_tokens))
    content = orjson.dumps(texts)
    # The text decides, because no useful bound is known before: a token may have a hundred characters.
    in_envelope = len(orjson.dumps(content.decode()))
    request.door.check_response(count, -(-in_envelope // count), "token ids")
    return Response(content, media_type="application/json")


EXPECTED_IDS = "`ids` must be a list of token ids or a list of such lists"


def embed_all(request: HttpRequest) -> Response:
    """Respond with the vector of each token of each text, after truncation and before any pooling: `[[[…]]]`."""
    asked = request.parse(request.fields())

    def check(tokens: int, hidden: int) -> None:
        request.door.check_response(tokens, row_bytes(hidden, "float"), "tokens")

    with naming(("inputs", len(asked.texts))):
        result = request.service.embed_tokens(asked.texts, asked.options, check, request.deadline)
    return embedding_response(request, encode_nested(result.vectors), result)


def refused(request: HttpRequest) -> Response:
    """Refuse a task that embedding models cannot do."""
    del request
    msg = "This model embeds: it does not predict classes or make sparse vectors"
    raise Backend(msg)
