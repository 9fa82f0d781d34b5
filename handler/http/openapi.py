"""The OpenAPI document. Its schemas are written by hand: the routes take raw requests, so FastAPI does not know their bodies."""

import re
from typing import Any

from handler import VERSION
from handler.http import dialect_schemas
from handler.http.responses import HEADERS
from handler.http.routes import KEY_HEADERS, ROUTES, Key, Route
from handler.http.schema_parts import COUNT, OPTIONS, TEXT, TEXTS, VECTOR, object_of
from handler.vector_types import TYPES

TOKEN_IDS = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "minimum": 0},
    "description": "Token ids of the model that is served.",
}
ID_LISTS = [TOKEN_IDS, {"type": "array", "minItems": 1, "items": TOKEN_IDS}]
BASE64 = {"type": "string", "description": "The little-endian numbers of a vector in base64."}
DTYPE: dict[str, Any] = {"enum": ["float", *TYPES]}
ENCODING_FORMAT = {
    "encoding_format": {"enum": ["float", "base64", None], "default": "float"},
    "output_dtype": {
        "anyOf": [DTYPE, {"type": "null"}],
        "description": "The numbers of a vector: float32, or a byte (int8, uint8) or a bit (binary, ubinary) for each dimension.",
    },
    "embedding_types": {"type": ["array", "null"], "items": DTYPE, "minItems": 1, "maxItems": 1},
}
NOT_HERE = {"type": "null", "description": "A key of text-embeddings-inference that has no meaning here."}
NO_FIGURES = dict.fromkeys(
    ("max_concurrent_requests", "max_batch_requests", "tokenization_workers", "sha", "docker_label"), NOT_HERE
)
VARIANTS: dict[str, Any] = {
    "input_type": {"type": ["string", "null"], "description": "Voyage's and NVIDIA's kind of text: chooses the model's prompt."},
    "task": {"type": ["string", "null"], "description": "Jina's kind of text."},
    "output_dimension": {**OPTIONS["dimensions"], "description": "Voyage's and Mistral's name of `dimensions`."},
    "truncate": OPTIONS["truncate"],
    "truncation": {"type": ["boolean", "null"], "description": "Voyage's name of `truncate`."},
    "normalized": {"type": ["boolean", "null"], "description": "Jina's name of `normalize`."},
    "embedding_type": {
        "anyOf": [{"enum": ["float", "base64", *TYPES]}, {"type": "null"}],
        "description": "Jina's and NVIDIA's name of `output_dtype`; Jina's has base64, too.",
    },
    "late_chunking": {"enum": [False, None], "description": "Jina's; true is refused."},
}
"""The fields of other providers on OpenAI's path."""
TEXT_OBJECT = object_of({"text": TEXTS["oneOf"][0]}, "text", additionalProperties=False)
TOKEN_OPTIONS = ("prompt_name", "truncate", "truncation_direction")
"""The options that change which tokens are embedded."""
OPTIONS_OBJECT = {"type": ["object", "null"], "properties": OPTIONS, "description": "Options, as older clients send them."}
COMPARISON = object_of({"source_sentence": {"type": "string", "minLength": 1}, "sentences": TEXTS}, "source_sentence", "sentences")
SCHEMAS: dict[str, Any] = {
    "Request": {
        "anyOf": [
            {"$ref": "#/components/schemas/FeatureExtraction"},
            {"$ref": "#/components/schemas/Comparison"},
            TEXTS["oneOf"][0],
            TEXTS["oneOf"][1],
        ],
        "examples": [{"inputs": TEXT}, {"inputs": {"source_sentence": TEXT, "sentences": ["It rained."]}}, TEXT, [TEXT]],
    },
    "FeatureExtraction": object_of(
        {
            "inputs": TEXTS,
            **OPTIONS,
            **ENCODING_FORMAT,
            "parameters": OPTIONS_OBJECT,
            "options": OPTIONS_OBJECT,
        },
        "inputs",
        examples=[{"inputs": TEXT}, {"inputs": [TEXT, "It rained all morning."], "dimensions": 64}],
    ),
    "Comparison": object_of(
        {"inputs": COMPARISON, **OPTIONS, "parameters": OPTIONS_OBJECT, "options": OPTIONS_OBJECT},
        "inputs",
        examples=[{"inputs": {"source_sentence": TEXT, "sentences": ["It rained all morning."]}}],
    ),
    "Texts": object_of({"inputs": TEXTS} | {name: OPTIONS[name] for name in TOKEN_OPTIONS}, "inputs", examples=[{"inputs": TEXT}]),
    "Tokenization": object_of(
        {
            "inputs": TEXTS,
            "add_special_tokens": {"type": ["boolean", "null"], "default": True},
            "prompt_name": OPTIONS["prompt_name"],
        },
        "inputs",
        examples=[{"inputs": TEXT}],
    ),
    "Decoding": object_of(
        {"ids": {"oneOf": ID_LISTS}, "skip_special_tokens": {"type": ["boolean", "null"], "default": True}},
        "ids",
        examples=[{"ids": [101, 7592, 102]}, {"ids": [[101, 7592, 102], [2088]], "skip_special_tokens": False}],
    ),
    "OpenAIEmbedding": object_of(
        {
            "input": {"oneOf": [*TEXTS["oneOf"], *ID_LISTS, {"type": "array", "minItems": 1, "items": TEXT_OBJECT}]},
            "model": {"type": "string", "description": "Any string: the endpoint has one model."},
            "dimensions": OPTIONS["dimensions"],
            **ENCODING_FORMAT,
            "truncate": OPTIONS["truncate"],
            "user": {"type": "string"},
            **VARIANTS,
            "prompt_name": OPTIONS["prompt_name"],
        },
        "input",
        examples=[{"input": TEXT, "model": "all-MiniLM-L6-v2"}],
    ),
    "Vectors": {"type": "array", "items": {"oneOf": [VECTOR, BASE64]}},
    "VectorsOrSimilarities": {"type": "array", "items": {"oneOf": [VECTOR, BASE64, {"type": "number"}]}},
    "TokenVectors": {"type": "array", "items": {"type": "array", "items": VECTOR}},
    "Similarities": {"type": "array", "items": {"type": "number"}},
    "Tokens": {
        "type": "array",
        "items": {
            "type": "array",
            "items": object_of(
                {
                    "id": {"type": "integer"},
                    "text": {"type": "string"},
                    "special": {"type": "boolean"},
                    "start": {"type": ["integer", "null"], "description": "Position in characters."},
                    "stop": {"type": ["integer", "null"]},
                },
                "id", "text", "special", "start", "stop",
            ),
        },
    },
    "DecodedTexts": {"type": "array", "items": {"type": "string"}},
    "OpenAIEmbeddings": object_of(
        {
            "id": {"type": "string"},
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": object_of(
                    {"object": {"const": "embedding"}, "index": {"type": "integer"}, "embedding": {"oneOf": [VECTOR, BASE64]}},
                    "object", "index", "embedding",
                ),
            },
            "model": {"type": "string"},
            "usage": object_of({"prompt_tokens": COUNT, "total_tokens": COUNT}, "prompt_tokens", "total_tokens"),
        },
        "id", "object", "data", "model", "usage",
    ),
    "Models": object_of({"data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}, "data"),
    "Model": object_of(
        {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
        },
        "id", "object", "created", "owned_by",
    ),
    "Health": object_of({}),
    "Info": object_of(
        {
            "model_id": {"type": "string"},
            "model_sha": {"type": "string"},
            "model_dtype": {"type": "string"},
            "model_type": {"type": "object"},
            "max_input_length": {"type": "integer"},
            "max_client_batch_size": {"type": "integer"},
            "max_batch_tokens": {"type": "integer"},
            **NO_FIGURES,
            "auto_truncate": {"type": "boolean"},
            "prompts": {"type": "object"},
            "version": {"type": "string"},
            "output_dtypes": {"type": "array", "items": DTYPE, "description": "The types of whole vectors."},
            "output_dtype": DTYPE | {"description": "The type for requests that name none."},
            "int8_dimensions": {"type": "array", "items": COUNT, "description": "The numbers of dimensions of int8 and uint8."},
            "rerank": {"enum": ["similarity", "cross-encoder"], "description": "The scores of /rerank."},
            "reranker": {"type": ["object", "null"], "description": "The cross-encoder; null until a rerank has loaded it."},
            "search": {"type": "boolean", "description": "Whether the deployment has an index for /search."},
        },
        "model_id", "model_sha", "max_input_length", "max_client_batch_size", "prompts", "version", *NO_FIGURES,
    ),
    "Error": object_of({"error": {"type": "string"}, "error_type": {"type": "string"}}, "error", "error_type"),
    "OpenAIError": object_of(
        {
            "error": object_of({"message": {"type": "string"}, "type": {"type": "string"}, "code": {"type": "integer"}}, "message"),
            "error_type": {"type": "string"},
            "detail": {"type": "string"},
            "message": {"type": "string"},
        },
        "error", "error_type", "detail", "message",
    ),
    "CohereError": object_of(
        {"message": {"type": "string"}, "error": {"type": "string"}, "error_type": {"type": "string"}},
        "message", "error", "error_type",
    ),
    **dialect_schemas.SCHEMAS,
}  # fmt: skip

USE_CACHE = {
    "name": "x-use-cache",
    "in": "header",
    "schema": {"type": "boolean", "default": True},
    "description": "false neither reads nor writes the cache.",
}
HEADERS_SENT = {name: {"description": text, "schema": {"type": "string"}} for name, (text, _) in HEADERS.items()}
"""The headers of every response that has vectors, or numbers made of vectors."""

FAILURES = {
    "400": "A text is empty, or the body is not JSON.",
    "401": "The request has no key, or a wrong one.",
    "404": "The path does not exist, or names another model.",
    "413": "The request has more than one request may have, or than can be done in time.",
    "415": "The body is not JSON and its content type does not say it is, or it is compressed, but not by gzip.",
    "422": "A field is wrong, or a text is too long and `truncate` is false.",
    "424": "The model is missing or damaged, or cannot do this task.",
    "500": "An unexpected error; the sentence has an id to look up in the log.",
}

KEYS: dict[str, Any] = {"key": {"type": "http", "scheme": "bearer"}} | {
    name: {"type": "apiKey", "in": "header", "name": name} for name in KEY_HEADERS
}
"""A request has its key in one of these."""
REFUSALS = ("401", "424", "500")
"""The statuses of a route that refuses every request."""


def document() -> dict[str, Any]:
    """Make the OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        for path in route.paths if route.summary else ():
            item = paths.setdefault(path.replace(":path}", "}"), {})
            item[route.methods[0].lower()] = _operation(route)
            if names := re.findall(r"{(\w+)", path):
                item["parameters"] = [_path_parameter(name) for name in names]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Embeddings on Lambda",
            "version": VERSION,
            "description": "Turns text into vectors, for clients of Hugging Face, OpenAI, Cohere, Voyage, Ollama and Bedrock.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": KEYS},
        "security": [{name: []} for name in KEYS],
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": route.summary, "responses": _responses(route)}
    if route.request:
        content = {"application/json": {"schema": _reference(route.request)}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.embeds:
        operation["parameters"] = [USE_CACHE]
    if route.key is not Key.REQUIRED:
        operation["security"] = []
    return operation


def _responses(route: Route) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(route.errors.value)}}
    failures = {status: {"description": FAILURES[status], "content": content} for status in FAILURES}
    if not route.response:
        return {status: failures[status] for status in REFUSALS}
    success: dict[str, Any] = {"description": "Success.", "content": {"application/json": {"schema": _reference(route.response)}}}
    if route.embeds:
        success["headers"] = HEADERS_SENT
    return {"200": success, **failures}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
