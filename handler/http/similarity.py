"""Sentence similarity: compares one text with others by the model's own similarity function."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import Response

from handler.encoding import NUMBER_BYTES, encode_vectors
from handler.errors import Validation, naming
from handler.http.merging import merged
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.parsing import text
from handler.similarity import FUNCTIONS, comparable


def asks_for_similarity(fields: Mapping[str, Any]) -> bool:
    """Return whether a body asks for similarities: `source_sentence` is next to `inputs`, or in it."""
    inputs = fields.get("inputs")
    return "source_sentence" in fields or (isinstance(inputs, dict) and "source_sentence" in inputs)


def similarity(request: HttpRequest) -> Response:
    """Respond on the route for similarities alone."""
    fields = merged(request.json())
    if not asks_for_similarity(fields):
        msg = '`inputs` must be an object like {"source_sentence": "a text", "sentences": ["others"]}'
        raise Validation(msg)
    return similarities(request, fields)


def similarities(request: HttpRequest, fields: Mapping[str, Any]) -> Response:
    """Respond with an array of numbers, one for each of `sentences`."""
    inputs = fields.get("inputs")
    if isinstance(inputs, dict):
        fields = {**fields, **inputs}
    source = text(fields, "source_sentence")
    asked = request.parse(fields, "sentences")
    request.door.check_response(len(asked.texts), NUMBER_BYTES, "sentences")
    manifest = request.service.manifest
    with naming(("source_sentence", 1), ("sentences", len(asked.texts))):
        result = request.embed([source, *asked.texts], comparable(asked.options, manifest))
    scores = FUNCTIONS[manifest.similarity](result.vectors[0], result.vectors[1:])
    return embedding_response(request, encode_vectors(scores.astype(np.float32), "float"), result)
