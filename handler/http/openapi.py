"""The OpenAPI document of the wire, by hand: the routes take raw requests, so the framework knows nothing of their bodies."""

from typing import Any

from handler import VERSION
from handler.vector_types import TYPES

TEXT = "Today is a sunny day and I will get some ice cream."
TEXTS = {
    "oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}]
}
COUNT = {"type": "integer", "minimum": 0}
VECTOR = {"type": "array", "items": {"type": "number"}}
TOKEN_IDS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}, "description": "Of the model served."}
BASE64 = {"type": "string", "description": "The little-endian numbers of a vector, in base64."}
OPTIONS: dict[str, Any] = {
    "normalize": {"type": ["boolean", "null"], "default": True, "description": "Bring each vector to the length 1."},
    "prompt_name": {"type": ["string", "null"], "description": "A key of the model's prompts, which /info lists."},
    "truncate": {"type": ["boolean", "null"], "description": "Cut a text over the model's limit; false refuses it."},
    "truncation_direction": {
        "enum": ["Left", "left", "Right", "right", None],
        "default": "right",
        "description": "The end that is cut.",
    },
    "dimensions": {"type": ["integer", "null"], "minimum": 1, "description": "Keep the first ones, then normalise."},
}
DTYPE: dict[str, Any] = {"enum": ["float", *TYPES]}
ENCODING_FORMAT = {
    "encoding_format": {"enum": ["float", "base64", None], "default": "float"},
    "output_dtype": {
        "anyOf": [DTYPE, {"type": "null"}],
        "description": "The numbers of a vector: float32, a byte (int8, uint8) or a bit (binary, ubinary) a dimension.",
    },
    "embedding_types": {"type": ["array", "null"], "items": DTYPE, "minItems": 1, "maxItems": 1},
}


def _object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"type": "object", "properties": properties, "required": list(required), **more}


CUTTING = ("prompt_name", "truncate", "truncation_direction")
"""The options that decide which tokens there are."""
_ERA = {"type": ["object", "null"], "properties": OPTIONS, "description": "Options, where clients of other years put them."}
COMPARISON = _object({"source_sentence": {"type": "string", "minLength": 1}, "sentences": TEXTS}, "source_sentence", "sentences")
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
    "FeatureExtraction": _object(
        {
            "inputs": TEXTS,
            **OPTIONS,
            **ENCODING_FORMAT,
            "parameters": _ERA,
            "options": _ERA,
        },
        "inputs",
        examples=[{"inputs": TEXT}, {"inputs": [TEXT, "It rained all morning."], "dimensions": 64}],
    ),
    "Comparison": _object({"inputs": COMPARISON, **OPTIONS}, "inputs", examples=[
        {"inputs": {"source_sentence": TEXT, "sentences": ["It rained all morning."]}}
    ]),
    "Texts": _object({"inputs": TEXTS} | {name: OPTIONS[name] for name in CUTTING}, "inputs", examples=[{"inputs": TEXT}]),
    "Tokenization": _object(
        {
            "inputs": TEXTS,
            "add_special_tokens": {"type": ["boolean", "null"], "default": True},
            "prompt_name": OPTIONS["prompt_name"],
        },
        "inputs",
        examples=[{"inputs": TEXT}],
    ),
    "OpenAIEmbedding": _object(
        {
            "input": {
                "oneOf": [
                    *TEXTS["oneOf"],
                    TOKEN_IDS,
                    {"type": "array", "minItems": 1, "items": TOKEN_IDS},
                ]
            },
            "model": {"type": "string", "description": "Any: there is one model here."},
            "dimensions": OPTIONS["dimensions"],
            **ENCODING_FORMAT,
            "user": {"type": "string"},
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
            "items": _object(
                {
                    "id": {"type": "integer"},
                    "text": {"type": "string"},
                    "special": {"type": "boolean"},
                    "start": {"type": ["integer", "null"], "description": "In characters."},
                    "stop": {"type": ["integer", "null"]},
                },
                "id", "text", "special", "start", "stop",
            ),
        },
    },
    "OpenAIEmbeddings": _object(
        {
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": _object(
                    {"object": {"const": "embedding"}, "index": {"type": "integer"}, "embedding": {"oneOf": [VECTOR, BASE64]}},
                    "object", "index", "embedding",
                ),
            },
            "model": {"type": "string"},
            "usage": _object({"prompt_tokens": COUNT, "total_tokens": COUNT}, "prompt_tokens", "total_tokens"),
        },
        "object", "data", "model", "usage",
    ),
    "Models": _object({"data": {"type": "array", "items": _object({"id": {"type": "string"}}, "id")}}, "data"),
    "Health": _object({}),
    "Info": _object(
        {
            "model_id": {"type": "string"},
            "model_sha": {"type": "string"},
            "model_dtype": {"type": "string"},
            "model_type": {"type": "object"},
            "max_input_length": {"type": "integer"},
            "max_client_batch_size": {"type": "integer"},
            "max_batch_tokens": {"type": "integer"},
            "auto_truncate": {"type": "boolean"},
            "prompts": {"type": "object"},
            "version": {"type": "string"},
            "output_dtypes": {"type": "array", "items": DTYPE, "description": "The types of whole vectors."},
            "int8_dimensions": {"type": "array", "items": COUNT, "description": "The sizes that int8 and uint8 are given for."},
        },
        "model_id", "model_sha", "max_input_length", "max_client_batch_size", "prompts", "version",
    ),
    "Error": _object({"error": {"type": "string"}, "error_type": {"type": "string"}}, "error", "error_type"),
    "OpenAIError": _object(
        {
            "error": _object({"message": {"type": "string"}, "type": {"type": "string"}, "code": {"type": "integer"}}, "message"),
            "error_type": {"type": "string"},
        },
        "error", "error_type",
    ),
}  # fmt: skip

USE_CACHE = {
    "name": "x-use-cache",
    "in": "header",
    "schema": {"type": "boolean", "default": True},
    "description": "false neither reads nor writes remembered vectors.",
}
HEADERS = {
    "x-compute-type": "`cpu`, or `cache` where every vector was remembered.",
    "x-compute-time": "Milliseconds in all.",
    "x-total-time": "Milliseconds in all.",
    "x-tokenization-time": "Milliseconds of tokenising.",
    "x-inference-time": "Milliseconds in the model.",
    "x-compute-characters": "Characters of all texts.",
    "x-compute-tokens": "Tokens of all texts, as cut.",
    "x-cache-hits": "Texts whose vector was remembered.",
    "x-cache-misses": "Texts whose vector was not.",
    "x-model-sha": "Digest of the model's manifest.",
    "x-hf-warning": "Only where texts were cut: how many, and to how many tokens.",
}
HEADERS_SENT = {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()}
"""Of every answer with something embedded in it."""

FAILURES = {
    "400": "A text is empty, or the body is not JSON.",
    "401": "No key, or a wrong one.",
    "404": "There is no such path, or it names another model.",
    "413": "More than one request may carry, or than can be done in time.",
    "415": "The body is not JSON and does not say it is, or is compressed in another way than gzip.",
    "422": "A field is wrong, or a text too long that must not be cut.",
    "424": "The model is missing or damaged, or it is of another kind than the task.",
    "500": "Anything else; the sentence has an id to look up in the log.",
}

FEATURE_EXTRACTION = ("Feature extraction or sentence similarity", "Request", "VectorsOrSimilarities")
POSTS: dict[str, tuple[str, str, str]] = {
    "/": FEATURE_EXTRACTION,
    "/embed": FEATURE_EXTRACTION,
    "/invocations": FEATURE_EXTRACTION,
    "/pipeline/feature-extraction/{model}": FEATURE_EXTRACTION,
    "/models/{model}": FEATURE_EXTRACTION,
    "/models/{model}/pipeline/feature-extraction": FEATURE_EXTRACTION,
    "/hf-inference/models/{model}/pipeline/feature-extraction": FEATURE_EXTRACTION,
    "/pipeline/sentence-similarity/{model}": FEATURE_EXTRACTION,
    "/models/{model}/pipeline/sentence-similarity": FEATURE_EXTRACTION,
    "/hf-inference/models/{model}/pipeline/sentence-similarity": FEATURE_EXTRACTION,
    "/similarity": ("Similarity of a sentence to others", "Comparison", "Similarities"),
    "/v1/embeddings": ("OpenAI's embeddings", "OpenAIEmbedding", "OpenAIEmbeddings"),
    "/embeddings": ("OpenAI's embeddings", "OpenAIEmbedding", "OpenAIEmbeddings"),
    "/embed_all": ("The vector of every token", "Texts", "TokenVectors"),
    "/tokenize": ("Tokens", "Tokenization", "Tokens"),
}
"""By path: what it does, the schema of its body, the schema of its answer."""
REFUSED = ("/predict", "/rerank", "/embed_sparse")
"""Tasks of other models: 424 for everyone who may ask."""
GETS: dict[str, tuple[str, str, bool]] = {
    "/": ("Whether the model is loaded", "Health", True),
    "/health": ("Whether the model is loaded", "Health", True),
    "/ping": ("Whether the model is loaded", "Health", True),
    "/info": ("The model and its limits", "Info", False),
    "/v1/models": ("The model, as OpenAI lists it", "Models", False),
    "/openapi.json": ("This document", "Health", True),
}
"""By path: what it does, the schema of its answer, whether it is open without a key."""


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for path, (summary, body, answer) in POSTS.items():
        paths.setdefault(path, {})["post"] = {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(body)}}},
            "responses": _responses(path, answer),
        }
        if path != "/tokenize":
            paths[path]["post"]["parameters"] = [USE_CACHE]
            paths[path]["post"]["responses"]["200"]["headers"] = HEADERS_SENT
        if "{model}" in path:
            paths[path]["parameters"] = [
                {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            ]
    for path in REFUSED:
        paths[path] = {"post": {"summary": "Not a task of this model", "responses": _failures(path, "401", "424", "500")}}
    for path, (summary, answer, is_open) in GETS.items():
        operation: dict[str, Any] = {"summary": summary, "responses": _responses(path, answer)}
        paths.setdefault(path, {})["get"] = operation | ({"security": []} if is_open else {})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Embeddings on Lambda",
            "version": VERSION,
            "description": "Text to vectors as Hugging Face, text-embeddings-inference and OpenAI clients ask for them.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}],
    }


def _responses(path: str, answer: str) -> dict[str, Any]:
    found = {"description": "The answer.", "content": {"application/json": {"schema": _reference(answer)}}}
    return {"200": found, **_failures(path, *FAILURES)}


def _failures(path: str, *statuses: str) -> dict[str, Any]:
    schema = _reference("OpenAIError" if path.startswith("/v1/") or path == "/embeddings" else "Error")
    return {status: {"description": FAILURES[status], "content": {"application/json": {"schema": schema}}} for status in statuses}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
