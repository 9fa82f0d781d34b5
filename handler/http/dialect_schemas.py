"""The schemas of reranking, of searching, and of the dialects of Ollama and Amazon Bedrock, for the OpenAPI document."""

from typing import Any

from handler.http.schema_parts import COUNT, OPTIONS, TEXT, TEXTS, VECTOR, object_of

STRING = {"type": "string", "minLength": 1}
MODEL = {"type": "string", "description": "Any string: the endpoint has one model."}
FLAG = {"type": ["boolean", "null"], "default": False}
LIMIT = {"type": ["integer", "null"], "minimum": 1, "description": "Return this many results; all by default."}
TYPES = {"type": ["array", "null"], "minItems": 1, "items": {"enum": ["float"]}}
FORMS = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
COHERE_TYPES = {"type": ["array", "null"], "minItems": 1, "items": {"enum": FORMS}}
KIND = {"type": ["string", "null"], "description": "The kind of text, such as search_query: chooses the model's prompt."}
ROWS = {"type": "array", "items": VECTOR}
BY_TYPE = dict.fromkeys(FORMS, ROWS) | {"base64": {"type": "array", "items": {"type": "string"}}}
SENTENCES = {name: {"type": "string"} for name in ("message", "error", "error_type")}
DOCUMENT = object_of({"text": STRING}, "text")
RANK = object_of(
    {"index": COUNT, "relevance_score": {"type": "number"}, "document": object_of({"text": {"type": "string"}})},
    "index", "relevance_score",
)  # fmt: skip
CONTENT = {"type": "array", "minItems": 1, "maxItems": 1, "items": object_of({"type": {"const": "text"}, "text": STRING}, "text")}
COHERE_RESPONSE = {
    "id": {"type": "string"},
    "response_type": {"enum": ["embeddings_floats", "embeddings_by_type"]},
    "texts": {"type": "array", "items": {"type": "string"}},
    "meta": {"type": "object"},
}
RESULTS: dict[str, Any] = {"type": ["integer", "null"], "minimum": 1, "maximum": 100}
SCHEMAS: dict[str, Any] = {
    "RerankTexts": object_of(
        {"query": STRING, "texts": TEXTS, "raw_scores": FLAG, "return_text": FLAG, "top_n": LIMIT}
        | {name: OPTIONS[name] for name in ("truncate", "truncation_direction")},
        "query", "texts",
        examples=[{"query": TEXT, "texts": ["It rained.", "The sun shines."]}],
    ),
    "RerankDocuments": object_of(
        {
            "query": STRING,
            "documents": {
                "oneOf": [STRING, {"type": "array", "minItems": 1, "items": {"oneOf": [STRING, DOCUMENT]}}],
            },
            "model": MODEL,
            "top_n": LIMIT,
            "top_k": LIMIT,
            "return_documents": FLAG,
            "truncation": OPTIONS["truncate"],
        },
        "query", "documents",
        examples=[{"query": TEXT, "documents": ["It rained.", {"text": "The sun shines."}], "top_n": 1, "return_documents": True}],
    ),
    "Search": {
        **object_of(
            {
                "query": {**STRING, "description": "The text to search for."},
                "vector": {**VECTOR, "minItems": 1, "description": "A vector of this model, in the place of `query`."},
                "k": RESULTS | {"default": 10, "description": "The number of results."},
                "filter": {
                    "type": ["object", "null"],
                    "description": "Conditions on the metadata, in the grammar of S3 Vectors: $eq, $ne, $gt, $gte, $lt, $lte, $in, "
                    "$nin, $exists, $and, $or.",
                },
                "return_metadata": {"type": ["boolean", "null"], "default": True},
                "rerank": RESULTS | {"description": "Take so many passages of the index, and order them with the reranker."},
            }
            | {name: OPTIONS[name] for name in ("prompt_name", "truncate", "truncation_direction")},
            examples=[{"query": TEXT}, {"query": TEXT, "k": 2, "filter": {"source": "weather"}, "rerank": 20}],
        ),
        "oneOf": [{"required": ["query"]}, {"required": ["vector"]}],
    },
    "Matches": {
        "type": "array",
        "items": object_of(
            {
                "id": {"type": "string"},
                "score": {"type": "number", "description": "The cosine of query and passage; with `rerank` the reranker's score."},
                "metadata": {"type": "object"},
            },
            "id", "score",
        ),
    },
    "Ranks": {
        "type": "array",
        "items": object_of({"index": COUNT, "score": {"type": "number"}, "text": {"type": "string"}}, "index", "score"),
    },
    "Reranked": object_of(
        {
            "id": {"type": "string"},
            "model": {"type": "string"},
            "object": {"const": "list"},
            "results": {"type": "array", "items": RANK},
            "data": {"type": "array", "items": RANK},
            "meta": {"type": "object"},
            "usage": object_of({"total_tokens": COUNT}, "total_tokens"),
        },
        "id", "model", "object", "results", "data", "meta", "usage",
    ),
    "OllamaTexts": object_of(
        {"model": MODEL, "input": TEXTS} | {name: OPTIONS[name] for name in ("truncate", "dimensions", "prompt_name")},
        "input",
        examples=[{"model": "all-minilm", "input": [TEXT]}],
    ),
    "OllamaText": object_of({"model": MODEL, "prompt": STRING}, "prompt", examples=[{"model": "all-minilm", "prompt": TEXT}]),
    "OllamaVectors": object_of(
        {"embeddings": {"type": "array", "items": VECTOR}}
        | dict.fromkeys(("total_duration", "load_duration", "prompt_eval_count"), COUNT)
        | {"model": {"type": "string"}},
        "model", "embeddings", "total_duration", "load_duration", "prompt_eval_count",
    ),
    "OllamaVector": object_of({"embedding": VECTOR}, "embedding"),
    "OllamaModels": object_of({"models": {"type": "array", "items": object_of({"name": {"type": "string"}}, "name")}}, "models"),
    "Version": object_of({"version": {"type": "string"}}, "version"),
    "BedrockBody": {
        "anyOf": [
            object_of(
                {"inputText": STRING, "embeddingTypes": TYPES} | {name: OPTIONS[name] for name in ("dimensions", "normalize")},
                "inputText",
            ),
            object_of(
                {
                    "texts": TEXTS,
                    "input_type": KIND,
                    "embedding_types": COHERE_TYPES,
                    "output_dimension": OPTIONS["dimensions"],
                    "truncate": OPTIONS["truncate"],
                },
                "texts",
            ),
        ],
        "examples": [{"inputText": TEXT, "dimensions": 256}, {"texts": [TEXT], "input_type": "search_document"}],
    },
    "BedrockVectors": {
        "anyOf": [
            object_of(
                {"embedding": VECTOR, "embeddingsByType": object_of({"float": VECTOR}), "inputTextTokenCount": COUNT},
                "embedding", "embeddingsByType", "inputTextTokenCount",
            ),
            object_of(
                {
                    "id": {"type": "string"},
                    "response_type": {"enum": ["embeddings_floats", "embeddings_by_type"]},
                    "embeddings": {"oneOf": [ROWS, object_of(BY_TYPE)]},
                    "texts": {"type": "array", "items": {"type": "string"}},
                },
                "id", "response_type", "embeddings", "texts",
            ),
        ]
    },
    "CohereEmbedding": object_of(
        {
            "model": MODEL,
            "texts": TEXTS,
            "inputs": {"type": "array", "minItems": 1, "items": object_of({"content": CONTENT}, "content")},
            "input_type": KIND,
            "embedding_types": COHERE_TYPES,
            "output_dimension": OPTIONS["dimensions"],
            "truncate": OPTIONS["truncate"],
        },
        examples=[
            {"model": "any", "texts": [TEXT], "input_type": "search_document", "embedding_types": ["float", "int8"]},
            {"model": "any", "inputs": [{"content": [{"type": "text", "text": TEXT}]}], "input_type": "search_query"},
        ],
    ),
    "CohereEmbeddings": object_of(
        COHERE_RESPONSE | {"embeddings": {"oneOf": [ROWS, object_of(BY_TYPE)]}}, *COHERE_RESPONSE, "embeddings"
    ),
    "CohereEmbeddingsByType": object_of(COHERE_RESPONSE | {"embeddings": object_of(BY_TYPE)}, *COHERE_RESPONSE, "embeddings"),
    "AWSError": object_of(SENTENCES | {"__type": {"type": "string"}}, *SENTENCES, "__type"),
}  # fmt: skip
