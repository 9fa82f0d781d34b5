"""The table of routes: which dialect serves a path, whether it requires a key, and what the OpenAPI document says about it.

Everything that depends on the path reads this table: app.py, middleware.py, errors.py and openapi.py. To add a route, add a row.
A row names its dialect as `module:function` of this package. The module is imported at the first request for it, so that no cold
start waits for a dialect that nobody uses.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

from starlette.routing import compile_path


class Key(Enum):
    """The rule by which a route requires an API key."""

    REQUIRED = "required"
    NOT_REQUIRED = "not required"
    PAGE = "required if the pages are closed"
    """And for a path that is not written exactly as in the table: the HTTP API limits the rate of pages by their exact paths."""


class ErrorForm(Enum):
    """The shapes of errors, each by the name of its schema in the OpenAPI document; errors.py writes them."""

    OURS = "Error"
    OPENAI = "OpenAIError"
    COHERE = "CohereError"
    AWS = "AWSError"


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table: the function of a dialect, and the paths that it serves.

    `request` and `response` name schemas of openapi.py; a POST without a response refuses every request. A route without a summary
    is left out of the document. `embeds` is true if the response carries the headers of responses.py.
    """

    methods: Sequence[str]
    paths: Sequence[str]
    dialect: str
    summary: str = ""
    request: str = ""
    response: str = ""
    embeds: bool = False
    key: Key = Key.REQUIRED
    errors: ErrorForm = ErrorForm.OURS


def under(bases: Sequence[str], *ends: str) -> tuple[str, ...]:
    """Join each base path with each end."""
    return tuple(base + end for end in ends for base in bases)


READ = ("GET", "HEAD")
WRITE = ("POST",)
OPENAI_BASES = ("/v1", "")
FEATURE_EXTRACTION_PATHS = (
    "/",
    "/embed",
    "/invocations",
    *under(("/pipeline",), "/feature-extraction/{model:path}", "/sentence-similarity/{model:path}"),
    *under(
        ("/hf-inference/models/{model:path}", "/models/{model:path}"),
        "/pipeline/feature-extraction",
        "/pipeline/sentence-similarity",
    ),
    "/models/{model:path}",  # last, for it matches the paths before it too
)
ROUTES = (
    Route(
        WRITE,
        FEATURE_EXTRACTION_PATHS,
        "feature_extraction:feature_extraction",
        "Feature extraction or sentence similarity",
        "Request",
        "VectorsOrSimilarities",
        embeds=True,
    ),
    Route(
        WRITE,
        under(OPENAI_BASES, "/embeddings"),
        "openai:embeddings",
        "OpenAI's embeddings",
        "OpenAIEmbedding",
        "OpenAIEmbeddings",
        embeds=True,
        errors=ErrorForm.OPENAI,
    ),
    Route(
        WRITE,
        ("/similarity",),
        "similarity:similarity",
        "Similarity of a sentence to others",
        "Comparison",
        "Similarities",
        embeds=True,
    ),
    Route(WRITE, ("/embed_all",), "tei:embed_all", "The vector of every token", "Texts", "TokenVectors", embeds=True),
    Route(WRITE, ("/tokenize",), "tei:tokenize", "Tokens", "Tokenization", "Tokens"),
    Route(WRITE, ("/rerank",), "rerank:texts", "Documents by similarity to a query", "RerankTexts", "Ranks", embeds=True),
    Route(
        WRITE,
        ("/v1/rerank",),
        "rerank:documents",
        "The same for clients of Cohere, Jina and Voyage",
        "RerankDocuments",
        "Reranked",
        embeds=True,
        errors=ErrorForm.OPENAI,
    ),
    Route(
        WRITE,
        ("/v2/rerank",),
        "rerank:documents",
        "The same for clients of Cohere",
        "RerankDocuments",
        "Reranked",
        embeds=True,
        errors=ErrorForm.COHERE,
    ),
    Route(WRITE, ("/api/embed",), "ollama:embed", "Ollama's embeddings", "OllamaTexts", "OllamaVectors", embeds=True),
    Route(WRITE, ("/api/embeddings",), "ollama:embeddings", "Ollama's older form", "OllamaText", "OllamaVector", embeds=True),
    Route(READ, ("/api/tags",), "ollama:tags", "The model, as Ollama lists it", response="OllamaModels"),
    Route(READ, ("/api/version",), "ollama:version", "The version of this endpoint", response="Version"),
    Route(
        WRITE,
        ("/model/{id:path}/invoke",),
        "bedrock:invoke",
        "Amazon Bedrock's InvokeModel with the body of Titan or Cohere",
        "BedrockBody",
        "BedrockVectors",
        embeds=True,
        errors=ErrorForm.AWS,
    ),
    Route(WRITE, ("/predict", "/embed_sparse"), "tei:refused", "Not a task of this model"),
    Route(READ, ("/",), "documentation:root", "Health of the endpoint", response="Health", key=Key.NOT_REQUIRED),
    Route(READ, ("/health", "/ping"), "tei:health", "Health of the endpoint", response="Health", key=Key.NOT_REQUIRED),
    Route(READ, ("/info",), "tei:info", "The model and its limits", response="Info"),
    Route(READ, ("/v1/models",), "openai:models", "The model, as OpenAI lists it", response="Models", errors=ErrorForm.OPENAI),
    Route(READ, ("/openapi.json",), "documentation:document", "This document", response="Health", key=Key.PAGE),
    Route(READ, ("/try",), "documentation:try_page", key=Key.PAGE),
    Route(READ, ("/docs",), "documentation:docs", key=Key.PAGE),
    Route(READ, ("/docs/swagger-ui.css",), "documentation:style", key=Key.PAGE),
    Route(READ, ("/docs/swagger-ui-bundle.js",), "documentation:script", key=Key.PAGE),
)
"""In the order in which they are tried."""

OTHER_PATHS = (("/v1/", ErrorForm.OPENAI),)
"""The error form of a path that is not in the table, by how it begins; ours for all others."""


PAGE_PATHS = frozenset(path for route in ROUTES if route.key is Key.PAGE for path in route.paths)


def operations(key: Key) -> frozenset[tuple[str, str]]:
    """Return method and path of every operation with this rule."""
    return frozenset((method, path) for route in ROUTES if route.key is key for method in route.methods for path in route.paths)


def error_form(path: str) -> ErrorForm:
    """Return the form in which errors on `path` are written."""
    for route in ROUTES:
        if any(_pattern(known).match(path) for known in route.paths):
            return route.errors
    return next((form for start, form in OTHER_PATHS if path.startswith(start)), ErrorForm.OURS)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]
