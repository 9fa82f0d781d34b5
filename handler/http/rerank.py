"""Reranking: sorts documents by the similarity of their vectors to the vector of a query, the most similar first.

An embedding model has no cross-encoder's scores. A score is the model's own similarity function, of the query with the model's
prompt for queries and of each document with the prompt for documents, if the model has such prompts.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from fastapi import Response

from handler.encoding import NUMBER_BYTES, text_bytes
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.http.similarity import FUNCTIONS, comparable
from handler.parsing import RerankRequest, rerank_request
from handler.prompts import prompt_for
from handler.service import Embeddings
from handler.vectors import Vectors

ITEM_BYTES = len(rb"{\"index\":99999,\"relevance_score\":,\"document\":{\"text\":}},") + NUMBER_BYTES
"""The most bytes of a result without its text, with the backslashes of Lambda's envelope."""


def texts(request: HttpRequest) -> Response:
    """Respond to text-embeddings-inference's clients with a list; a body with `documents` gets the response for these."""
    fields = request.fields()
    if "documents" in fields:
        return _documents(request, fields)
    asked = rerank_request(fields, request.service.settings.max_client_batch_size, "texts")
    result, ranks = _ranked(request, asked, copies=1)
    content = [
        {"index": index, "score": score} | ({"text": asked.documents[index]} if asked.return_documents else {})
        for index, score in ranks
    ]
    return embedding_response(request, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def documents(request: HttpRequest) -> Response:
    """Respond to the clients of Cohere, Jina and Voyage, whose requests look alike, with one object that all of them read."""
    return _documents(request, request.fields())


def _documents(request: HttpRequest, fields: dict[str, Any]) -> Response:
    asked = rerank_request(fields, request.service.settings.max_client_batch_size, "documents")
    result, ranks = _ranked(request, asked, copies=2)
    results = [
        {"index": index, "relevance_score": score}
        | ({"document": {"text": asked.documents[index]}} if asked.return_documents else {})
        for index, score in ranks
    ]
    content = {
        "id": str(uuid4()),
        "model": request.service.manifest.model_id,
        "object": "list",
        "results": results,
        "data": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        "usage": {"total_tokens": result.tokens},
    }
    return embedding_response(request, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def _ranked(
    request: HttpRequest, asked: RerankRequest, copies: int
) -> tuple[Embeddings[Vectors], Sequence[tuple[int, np.float32]]]:
    """Return the embeddings of query and documents, and (index, score) of the best documents; equal scores keep their order.

    Raises:
        EmbeddingError: they cannot be embedded, or a response that has each result `copies` times might not fit.
    """
    longest = sum(sorted(map(text_bytes, asked.documents))[-asked.most :]) if asked.return_documents else 0
    request.door.check_response(asked.most, copies * (ITEM_BYTES + longest // asked.most + 1), "documents")
    result = _embedded(request, asked)
    function = FUNCTIONS[request.service.manifest.similarity]
    scores = function(result.vectors[0], result.vectors[1:]).astype(np.float32)
    best = np.argsort(-scores, kind="stable")[: asked.most]
    return result, [(int(index), scores[index]) for index in best]


def _embedded(request: HttpRequest, asked: RerankRequest) -> Embeddings[Vectors]:
    """Embed the query and the documents: in one call, unless their prompts differ."""
    manifest = request.service.manifest
    options = comparable(asked.options, manifest)
    query, document = (replace(options, prompt_name=prompt_for(kind, manifest.prompts)) for kind in ("query", "document"))
    if query == document:
        return request.embed([asked.query, *asked.documents], query)
    first, rest = request.embed([asked.query], query), request.embed(asked.documents, document)
    return replace(
        rest,
        vectors=np.concatenate([first.vectors, rest.vectors]),
        tokens_each=[*first.tokens_each, *rest.tokens_each],
        truncated_each=[*first.truncated_each, *rest.truncated_each],
        characters=first.characters + rest.characters,
        tokenization_ns=first.tokenization_ns + rest.tokenization_ns,
        inference_ns=first.inference_ns + rest.inference_ns,
        hits=first.hits + rest.hits,
        misses=first.misses + rest.misses,
    )
