"""Reranking: sorts documents by how well they fit a query, the best first (handler/reranking.py has the scores)."""

from typing import Any
from uuid import uuid4

import orjson
from fastapi import Response

from handler.encoding import NUMBER_BYTES, text_bytes
from handler.errors import naming
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.parsing import RerankRequest, rerank_request
from handler.reranking import Ranking, rank

ITEM_BYTES = len(rb"{\"index\":99999,\"relevance_score\":,\"document\":{\"text\":}},") + NUMBER_BYTES
"""The most bytes of a result without its text, with the backslashes of Lambda's envelope."""


def texts(request: HttpRequest) -> Response:
    """Respond to text-embeddings-inference's clients with a list; a body with `documents` gets the response for these."""
    fields = request.fields()
    if "documents" in fields:
        return _documents(request, fields)
    asked = rerank_request(fields, request.service.settings.max_client_batch_size, "texts")
    ranking = _ranked(request, asked, copies=1)
    return _response(
        request,
        ranking,
        [
            {"index": index, "score": ranking.scores[index]} | ({"text": asked.documents[index]} if asked.return_documents else {})
            for index in ranking.order[: asked.most]
        ],
    )


def documents(request: HttpRequest) -> Response:
    """Respond to the clients of Cohere, Jina and Voyage, whose requests look alike, with one object that all of them read."""
    return _documents(request, request.fields())


def _documents(request: HttpRequest, fields: dict[str, Any]) -> Response:
    asked = rerank_request(fields, request.service.settings.max_client_batch_size, "documents")
    ranking = _ranked(request, asked, copies=2)
    results = [
        {"index": index, "relevance_score": ranking.scores[index]}
        | ({"document": {"text": asked.documents[index]}} if asked.return_documents else {})
        for index in ranking.order[: asked.most]
    ]
    content = {
        "id": str(uuid4()),
        "model": ranking.manifest.model_id,
        "object": "list",
        "results": results,
        "data": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        "usage": {"total_tokens": ranking.work.tokens},
    }
    return _response(request, ranking, content)


def _response(request: HttpRequest, ranking: Ranking, content: object) -> Response:
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return embedding_response(request, body, ranking.work, model_sha=ranking.manifest.digest)


def _ranked(request: HttpRequest, asked: RerankRequest, copies: int) -> Ranking:
    """Score the documents.

    Raises:
        EmbeddingError: they cannot be scored, or a response that has each result `copies` times might not fit.
    """
    longest = sum(sorted(map(text_bytes, asked.documents))[-asked.most :]) if asked.return_documents else 0
    request.door.check_response(asked.most, copies * (ITEM_BYTES + longest // asked.most + 1), "documents")
    options = request.cached(asked.options)
    with naming(("query", 1), (asked.field, len(asked.documents))):
        return rank(request.service, asked.query, asked.documents, options, raw_scores=asked.raw_scores, deadline=request.deadline)
