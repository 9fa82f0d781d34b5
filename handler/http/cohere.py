"""Cohere's dialect: the request is `{"texts": …}`, the response has vectors by type, or in version 1 a list of vectors."""

import orjson
from fastapi import Response

from handler import cohere
from handler.cohere import CohereRequest
from handler.errors import naming
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response


def embed_v1(request: HttpRequest) -> Response:
    """Embed texts as version 1 of Cohere's API: vectors are a list unless the request names types."""
    return _respond(request, cohere.read(request.fields(), request.service), "1")


def embed_v2(request: HttpRequest) -> Response:
    """Embed texts as version 2 of Cohere's API: vectors are always by type."""
    return _respond(request, cohere.by_type(cohere.read(request.fields(), request.service)), "2")


def _respond(request: HttpRequest, asked: CohereRequest, version: str) -> Response:
    request.door.check_response(len(asked.texts), asked.row_bytes(request.service.manifest.dimension))
    with naming((asked.field, len(asked.texts))):
        result = request.embed(asked.texts, asked.options)
    meta = {"api_version": {"version": version}, "billed_units": {"input_tokens": result.tokens}}
    content = orjson.dumps({**cohere.write(asked, result.vectors), "meta": meta}, option=orjson.OPT_SERIALIZE_NUMPY)
    return embedding_response(request, content, result, asked.warning)
