"""Hugging Face's feature extraction: the request is `{"inputs": …}`, the response an array of arrays."""

from fastapi import Response

from handler.encoding import encode_vectors, largest_row
from handler.errors import naming
from handler.http.merging import merged
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.http.similarity import asks_for_similarity, similarities


def feature_extraction(request: HttpRequest) -> Response:
    """Embed the inputs, or compare them if the body asks for similarities: the two tasks share their paths."""
    request.check_model()
    fields = merged(request.json())
    if asks_for_similarity(fields):
        return similarities(request, fields)
    asked = request.parse(fields)
    request.door.check_response(len(asked.texts), largest_row(asked, request.service))
    with naming(("inputs", len(asked.texts))):
        result = request.embed(asked.texts, asked.options)
    return embedding_response(request, encode_vectors(result.vectors, asked.encoding_format), result)
