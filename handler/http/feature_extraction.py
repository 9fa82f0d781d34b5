"""Hugging Face's feature extraction: the request is `{"inputs": …}`, the response an array of arrays."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from handler.encoding import encode_vectors, largest_row
from handler.errors import Validation, shown
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.http.similarity import asks_for_similarity, similarities

ERAS = ("parameters", "options")
"""Objects in which clients of different years put the options; the later of two wins, and both win over the root."""


def feature_extraction(request: HttpRequest) -> Response:
    """Embed the inputs, or compare them if the body asks for similarities: the two tasks share their paths."""
    request.check_model()
    fields = merged(request.json())
    if asks_for_similarity(fields):
        return similarities(request, fields)
    asked = request.parse(fields)
    request.door.check_response(len(asked.texts), largest_row(asked, request.service))
    result = request.embed(asked.texts, asked.options)
    return embedding_response(request, encode_vectors(result.vectors, asked.encoding_format), result)


def merged(body: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """Bring the fields of a body from any year to one level. A bare string or list is taken as `inputs`.

    Raises:
        Validation: the body, `parameters` or `options` is not an object.
    """
    if isinstance(body, str | list):
        return {"inputs": body}
    if not isinstance(body, dict):
        msg = 'The body must be an object like {"inputs": "a text"}, a string or a list of strings'
        raise Validation(msg)
    fields = dict(body)
    for era in ERAS:
        options = fields.pop(era, None)
        if options is None:
            continue
        if not isinstance(options, dict):
            msg = f"`{era}` must be an object. Given: {shown(options)}"
            raise Validation(msg)
        fields |= {name: value for name, value in options.items() if name != "inputs"}
    return fields
