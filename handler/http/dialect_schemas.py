"""The schemas of reranking, for the OpenAPI document."""

from typing import Any

from handler.http.schema_parts import COUNT, OPTIONS, TEXT, TEXTS, object_of

STRING = {"type": "string", "minLength": 1}
MODEL = {"type": "string", "description": "Any string: the endpoint has one model."}
FLAG = {"type": ["boolean", "null"], "default": False}
LIMIT = {"type": ["integer", "null"], "minimum": 1, "description": "Return this many results; all by default."}
DOCUMENT = object_of({"text": STRING}, "text")
RANK = object_of(
    {"index": COUNT, "relevance_score": {"type": "number"}, "document": object_of({"text": {"type": "string"}})},
    "index", "relevance_score",
)  # fmt: skip
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
}  # fmt: skip
