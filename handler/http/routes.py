"""The table of routes: which dialect serves a path, whether it requires a key, and what the OpenAPI document says about it.

Everything that depends on the path reads this table: app.py, middleware.py, errors.py and openapi.py. To add a route, add a row.
A row names its dialect as `module:function` of this package. The module is imported at the first request for it, so that no cold
start waits for a dialect that nobody uses.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Key(Enum):
    """The rule by which a route requires an API key."""

    REQUIRED = "required"
    NOT_REQUIRED = "not required"
    PAGE = "required if the pages are closed"
    """A path that is not written exactly as in the table requires a key, too: the HTTP API limits the rate of exact paths only."""


class ErrorForm(Enum):
    """The shapes of errors, each by the name of its schema in the OpenAPI document; errors.py writes them."""

    OURS = "Error"
    """Ollama's clients read it too."""
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


KEY_HEADERS = ("api-key", "x-api-key")
"""Headers with a key, besides `Authorization: Bearer`: Azure's clients and others have these."""
READ = ("GET", "HEAD")
WRITE = ("POST",)
OPENAI_BASES = ("/v1", "/api/v1", "/openai/v1", "/openai", "")
"""The base URLs that OpenAI's clients are given by its many imitators; Azure's has the path /openai/v1."""
DEPLOYMENTS = ("/openai/deployments/{deployment:path}", "/deployments/{deployment:path}", "/models")
"""The bases of Azure's older clients, and of Azure AI Foundry's: a deployment may have any name."""
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
    Route(  # before feature extraction, which would take /models/embeddings for a model's path
        WRITE,
        under((*OPENAI_BASES, *DEPLOYMENTS), "/embeddings"),
        "openai:embeddings",
        "OpenAI's embeddings",
        "OpenAIEmbedding",
        "OpenAIEmbeddings",
        embeds=True,
        errors=ErrorForm.OPENAI,
    ),
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
        ("/similarity",),
        "similarity:similarity",
        "Similarity of a sentence to others",
        "Comparison",
        "Similarities",
        embeds=True,
    ),
    Route(WRITE, ("/embed_all",), "tei:embed_all", "The vector of every token", "Texts", "TokenVectors", embeds=True),
    Route(WRITE, ("/tokenize",), "tei:tokenize", "Tokens", "Tokenization", "Tokens"),
    Route(WRITE, ("/decode",), "tei:decode", "The text of token ids", "Decoding", "DecodedTexts"),
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
    Route(
        WRITE,
        ("/v1/embed",),
        "cohere:embed_v1",
        "Cohere's embeddings, version 1",
        "CohereEmbedding",
        "CohereEmbeddings",
        embeds=True,
        errors=ErrorForm.COHERE,
    ),
    Route(
        WRITE,
        ("/v2/embed",),
        "cohere:embed_v2",
        "Cohere's embeddings",
        "CohereEmbedding",
        "CohereEmbeddingsByType",
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
    Route(
        WRITE,
        ("/search",),
        "search:search",
        "Passages by similarity to a query, where the deployment has an index",
        "Search",
        "Matches",
        embeds=True,
    ),
    Route(WRITE, ("/predict", "/embed_sparse"), "tei:refused", "Not a task of this model"),
    Route(READ, ("/",), "documentation:root", "Health of the endpoint", response="Health", key=Key.NOT_REQUIRED),
    Route(READ, ("/health", "/ping"), "tei:health", "Health of the endpoint", response="Health", key=Key.NOT_REQUIRED),
    Route(READ, ("/info",), "tei:info", "The model and its limits", response="Info"),
    Route(
        READ,
        under(OPENAI_BASES, "/models"),
        "openai:models",
        "The model, as OpenAI lists it",
        response="Models",
        errors=ErrorForm.OPENAI,
    ),
    Route(
        READ,
        under(OPENAI_BASES[:-1], "/models/{model:path}"),  # without a base, it is a path of feature extraction
        "openai:model",
        "The model, as OpenAI describes it",
        response="Model",
        errors=ErrorForm.OPENAI,
    ),
    Route(READ, ("/openapi.json",), "documentation:document", "This document", response="Health", key=Key.PAGE),
    Route(READ, ("/try",), "documentation:try_page", key=Key.PAGE),
    Route(READ, ("/docs",), "documentation:docs", key=Key.PAGE),
    Route(READ, ("/docs/swagger-ui.css",), "documentation:style", key=Key.PAGE),
    Route(READ, ("/docs/swagger-ui-bundle.js",), "documentation:script", key=Key.PAGE),
)
"""In the order in which they are tried."""

FIXED_PATHS = {path: route.errors for route in ROUTES for path in route.paths if "{" not in path}
OTHER_PATHS = (
    (re.compile(r"/model/.*/invoke", re.DOTALL), ErrorForm.AWS),
    (re.compile(r".*/embeddings|(/api|/openai)?/v1(/.*)?|/openai(/.*)?|/deployments/.*", re.DOTALL), ErrorForm.OPENAI),
    (re.compile(r"/v2/.*", re.DOTALL), ErrorForm.COHERE),
)
"""The error forms of all other paths, by pattern: a client that has a wrong base URL reads errors too."""
PAGE_PATHS = frozenset(path for route in ROUTES if route.key is Key.PAGE for path in route.paths)


def operations(key: Key) -> frozenset[tuple[str, str]]:
    """Return method and path of every operation with this rule."""
    return frozenset((method, path) for route in ROUTES if route.key is key for method in route.methods for path in route.paths)


def error_form(path: str) -> ErrorForm:
    """Return the form in which errors on `path` are written."""
    return FIXED_PATHS.get(path) or next((form for pattern, form in OTHER_PATHS if pattern.fullmatch(path)), ErrorForm.OURS)
