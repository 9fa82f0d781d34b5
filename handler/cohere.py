"""Cohere's bodies of embeddings: from fields to texts and options, and from vectors to an object. Amazon Bedrock has them, too.

Law: translates; knows nothing of HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import numpy as np

from handler.encoding import base64_rows, row_bytes, text_bytes
from handler.errors import Validation, kind
from handler.parsing import integer, options, several, texts
from handler.prompts import with_prompt
from handler.service import Options, Service
from handler.vector_types import FLOAT32, TYPES, ModelTypes, VectorType
from handler.vectors import EncodingFormat, Vectors

FORMS: Mapping[str, tuple[VectorType, EncodingFormat]] = {
    "float": (FLOAT32, "float"),
    **{name: (small, "float") for name, small in TYPES.items() if small is not FLOAT32},
    "base64": (FLOAT32, "base64"),
}
"""Cohere's names of types, of which a request may name several: our type of vectors, and its encoding."""

IMAGES = "`{}` cannot be embedded: this model embeds text"


@dataclass(frozen=True, slots=True)
class CohereRequest:
    """The texts and options of a request, whose `field` held the texts.

    `types` is None if it names no types of vectors; `warning` says what was left out.
    """

    texts: list[str]
    field: str
    options: Options
    types: list[str] | None
    model_types: ModelTypes
    warning: str

    def row_bytes(self, dimension: int) -> int:
        """Return the most bytes of the response for one text, on average."""
        size = self.options.dimensions or dimension
        vectors = sum(row_bytes(size, encoding, small) for small, encoding in (FORMS[name] for name in self.types or ["float"]))
        return vectors + sum(map(text_bytes, self.texts)) // len(self.texts) + 1


def read(fields: Mapping[str, Any], service: Service) -> CohereRequest:
    """Read the fields of a body. Without `truncate`, the deployment's default counts.

    Raises:
        EmbeddingError: for the same reasons as parsing.embedding_request, or a type of vectors cannot be made.
    """
    if fields.get("images"):
        raise Validation(IMAGES.format("images"))
    manifest, limit = service.manifest, service.settings.max_client_batch_size
    _check_max_tokens(fields, manifest.max_length)
    prompted, warning = with_prompt(fields, ("input_type",), manifest.prompts)
    # All types are made from the float32 vectors.
    own = {"dimensions": fields.get("output_dimension"), "embedding_types": None, "output_dtype": FLOAT32.name}
    named = options({**prompted, **own})
    field = "inputs" if fields.get("texts") is None and "inputs" in fields else "texts"
    if field == "inputs":
        given = texts(fields, field, limit, lambda items: [_content(item, f"inputs[{i}]") for i, item in enumerate(items)])
    else:
        given = texts(fields, field, limit)
    types, model_types = several(fields, "embedding_types", tuple(FORMS)), ModelTypes(manifest.dimension, manifest.ranges)
    for name in types or ():
        model_types.check(FORMS[name][0].name, named.dimensions, normalize=manifest.normalizes(named.normalize))
    return CohereRequest(given, field, named, types, model_types, warning)


def by_type(request: CohereRequest) -> CohereRequest:
    """Return the same request for a version of the API whose responses always have vectors by type."""
    return replace(request, types=request.types or ["float"])


def write(request: CohereRequest, vectors: Vectors) -> dict[str, Any]:
    """Make the object of a response: a list of vectors, or lists by type if the request named types."""
    return {
        "id": str(uuid4()),
        "response_type": "embeddings_by_type" if request.types else "embeddings_floats",
        "embeddings": {name: _rows(request, vectors, name) for name in request.types}
        if request.types
        else np.ascontiguousarray(vectors),
        "texts": request.texts,
    }


def _rows(request: CohereRequest, vectors: Vectors, name: str) -> Any:  # noqa: ANN401 - what orjson writes
    small, encoding = FORMS[name]
    made = request.model_types.make(vectors, small.name)
    return base64_rows(made) if encoding == "base64" else np.ascontiguousarray(made)


def _content(item: object, place: str) -> object:
    """Return the one text of an input's content; anything else is refused by name.

    Raises:
        Validation: there is an image, no text, or more than one.
    """
    parts = item.get("content") if isinstance(item, dict) else item
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict):
        msg = f"`{place}` must be an object whose `content` has one text. Given: {kind(item)}"
        raise Validation(msg)
    if "image_url" in parts[0]:
        raise Validation(IMAGES.format(f"{place}.content[0]"))
    return parts[0].get("text")


def _check_max_tokens(fields: Mapping[str, Any], limit: int) -> None:
    """Refuse `max_tokens` below the model's limit, because texts are truncated at that.

    Raises:
        Validation: with the limit.
    """
    most = integer(fields, "max_tokens")
    if most is not None and most < limit:
        msg = f"`max_tokens` must be at least {limit}, the number of tokens at which this model truncates a text. Given: {most}"
        raise Validation(msg)
