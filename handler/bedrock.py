"""Amazon Bedrock's bodies: Titan's `{"inputText"}` and Cohere's `{"texts"}`, in plain invocations and in InvokeModel over HTTP.

Law: translates; knows nothing of HTTP frameworks, which the pipeline must not import.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import orjson

from handler import cohere
from handler.errors import Validation, naming
from handler.parsing import options, several, text
from handler.service import Embeddings, Options, Service
from handler.vector_types import FLOAT32
from handler.vectors import Vectors

TITAN, COHERE = "inputText", "texts"
"""The fields by which the two bodies are recognised."""
TITAN_TYPES = ("float",)

type Check = Callable[[int, int], None]
type Embed = Callable[[Sequence[str], Options], Embeddings[Vectors]]


class Reply(NamedTuple):
    """The JSON of a response, the embeddings in it, and a warning about the request, or ""."""

    content: bytes
    result: Embeddings[Vectors]
    warning: str = ""


def invoke(fields: Mapping[str, Any], service: Service, check: Check, embed: Embed) -> Reply:
    """Embed what a body asks for.

    Args:
        fields: of the body.
        service: knows the limits and the prompts.
        check: takes the number of texts and the most bytes of each in the response; raises TooLarge if they do not fit.
        embed: embeds texts.

    Raises:
        EmbeddingError: for the same reasons as parsing.embedding_request and Service.embed.
    """
    if TITAN in fields:
        return _titan(fields, embed)
    if COHERE in fields:
        return _cohere(fields, service, check, embed)
    msg = f"The body must have `{TITAN}`, as Amazon Titan's has, or `{COHERE}`, as Cohere's has"
    raise Validation(msg)


def _titan(fields: Mapping[str, Any], embed: Embed) -> Reply:
    """Embed one text; its response fits through every front door."""
    types = several(fields, "embeddingTypes", TITAN_TYPES) or TITAN_TYPES
    with naming((TITAN, 1)):
        result = embed([text(fields, TITAN)], replace(options(fields), output_dtype=FLOAT32.name))
    vector = np.ascontiguousarray(result.vectors[0])
    content = {"embedding": vector, "embeddingsByType": dict.fromkeys(types, vector), "inputTextTokenCount": result.tokens}
    return Reply(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result)


def _cohere(fields: Mapping[str, Any], service: Service, check: Check, embed: Embed) -> Reply:
    request = cohere.read(fields, service)
    check(len(request.texts), request.row_bytes(service.manifest.dimension))
    with naming((request.field, len(request.texts))):
        result = embed(request.texts, request.options)
    content = cohere.write(request, result.vectors)
    return Reply(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), result, request.warning)
