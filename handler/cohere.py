"""Cohere's bodies of embeddings: from fields to texts and options, and from vectors to an object. Amazon Bedrock has them, too.

Law: translates; knows nothing of HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from handler.encoding import row_bytes, text_bytes
from handler.errors import Validation, shown
from handler.parsing import options, several, string, texts
from handler.prompts import prompt_for
from handler.service import Options
from handler.vectors import Vectors

TYPES = ("float",)
"""The types of vectors."""


@dataclass(frozen=True, slots=True)
class CohereRequest:
    """The texts and options of a request. `types` is None if it names no types of vectors; `warning` says what was left out."""

    texts: list[str]
    options: Options
    types: list[str] | None
    warning: str

    def row_bytes(self, dimension: int) -> int:
        """Return the most bytes of the response for one text, on average."""
        vectors = row_bytes(self.options.dimensions or dimension, "float") * len(self.types or TYPES)
        return vectors - -sum(map(text_bytes, self.texts)) // len(self.texts)


def read(fields: Mapping[str, Any], limit: int, prompts: Mapping[str, str]) -> CohereRequest:
    """Read the fields of a body. Without `truncate`, the deployment's default counts.

    Raises:
        EmbeddingError: for the same reasons as parsing.embedding_request.
    """
    if fields.get("images"):
        msg = "`images` cannot be embedded: this model embeds text"
        raise Validation(msg)
    kind = string(fields, "input_type")
    name = prompt_for(kind, prompts) if kind else None
    named = options({**fields, "dimensions": fields.get("output_dimension"), "prompt_name": fields.get("prompt_name") or name})
    warning = f"input_type; the model has no prompt for {shown(kind)}" if kind and name is None else ""
    return CohereRequest(texts(fields, "texts", limit), named, several(fields, "embedding_types", TYPES), warning)


def write(request: CohereRequest, vectors: Vectors) -> dict[str, Any]:
    """Make the object of a response: a list of vectors, or lists by type if the request named types."""
    rows = np.ascontiguousarray(vectors)
    return {
        "id": str(uuid4()),
        "response_type": "embeddings_by_type" if request.types else "embeddings_floats",
        "embeddings": dict.fromkeys(request.types, rows) if request.types else rows,
        "texts": request.texts,
    }
