"""Hugging Face's feature extraction: `{"inputs": …}` in, an array of arrays out."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from handler.encoding import encode_vectors, row_bytes
from handler.errors import Validation, shown
from handler.http.request import Call
from handler.http.responses import answer
from handler.http.similarity import asks_for_similarity, similarities
from handler.parsing import embedding_request
from handler.vector_types import TYPES

ERAS = ("parameters", "options")
"""Objects in which clients of different years put the options; a later one wins over an earlier one and over the root."""


def feature_extraction(call: Call) -> Response:
    """Embed the inputs of one request, or compare them where the body asks for that: the two tasks share their paths."""
    call.check_model()
    fields = merged(call.json())
    if asks_for_similarity(fields):
        return similarities(call, fields)
    asked = embedding_request(fields)
    kind = TYPES[asked.options.output_dtype or call.service.settings.output_dtype]
    dimension = asked.options.dimensions or call.service.manifest.dimension
    call.check(len(asked.texts), row_bytes(dimension, asked.encoding_format, kind))
    result = call.embed(asked.texts, asked.options)
    return answer(call, encode_vectors(result.vectors, asked.encoding_format), result)


def merged(body: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """The fields of a body of any era, at one level. A bare string or list is taken as `inputs`.

    Raises:
        Validation: the body, or one of its eras' objects, is no object.
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
