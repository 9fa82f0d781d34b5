"""Reranking: sorts documents by how well they fit a query, the best first (handler/reranking.py has the scores)."""

from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from fastapi import Response

from handler.encoding import NUMBER_BYTES, text_bytes
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.parsing import RerankRequest, rerank_request
from handler.reranking import rank
from handler.service import Embeddings

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


def _ranked(request: HttpRequest, asked: RerankRequest, copies: int) -> tuple[Embeddings[Any], list[tuple[int, np.float32]]]:
    """Return what the work took, and (index, score) of the best documents.

    Raises:
        EmbeddingError: they cannot be scored, or a response that has each result `copies` times might not fit.
    """
    longest = sum(sorted(map(text_bytes, asked.documents))[-asked.most :]) if asked.return_documents else 0
    request.door.check_response(asked.most, copies * (ITEM_BYTES + longest // asked.most + 1), "documents")
    ranking = rank(
        request.service,
        asked.query,
        asked.documents,
        request.cached(asked.options),
        raw_scores=asked.raw_scores,
        deadline=request.deadline,
    )
    return ranking.work, [(index, ranking.scores[index]) for index in ranking.order[: asked.most]]
