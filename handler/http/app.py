"""The FastAPI application: which path is answered by which dialect."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match

from handler.http import documentation, openai, tei
from handler.http.errors import routing_failure
from handler.http.feature_extraction import feature_extraction
from handler.http.middleware import Gate
from handler.http.request import Call
from handler.http.similarity import similarity
from handler.keys import Keys
from handler.service import Service

type Dialect = Callable[[Call], Response]

READ = ("GET", "HEAD")
WRITE = ("POST",)
TASKS = ("feature-extraction", "sentence-similarity")
ROUTES: list[tuple[Sequence[str], str, Dialect]] = [
    (WRITE, "/", feature_extraction),
    (WRITE, "/embed", feature_extraction),
    (WRITE, "/v1/embeddings", openai.embeddings),
    (WRITE, "/embeddings", openai.embeddings),
    (WRITE, "/invocations", feature_extraction),
    *((WRITE, f"/pipeline/{task}/{{model:path}}", feature_extraction) for task in TASKS),
    *((WRITE, f"/hf-inference/models/{{model:path}}/pipeline/{task}", feature_extraction) for task in TASKS),
    *((WRITE, f"/models/{{model:path}}/pipeline/{task}", feature_extraction) for task in TASKS),
    (WRITE, "/models/{model:path}", feature_extraction),
    (WRITE, "/similarity", similarity),
    (WRITE, "/embed_all", tei.embed_all),
    (WRITE, "/tokenize", tei.tokenize),
    (WRITE, "/predict", tei.refused),
    (WRITE, "/rerank", tei.refused),
    (WRITE, "/embed_sparse", tei.refused),
    (READ, "/", documentation.root),
    (READ, "/try", documentation.try_page),
    (READ, "/health", tei.health),
    (READ, "/ping", tei.health),
    (READ, "/info", tei.info),
    (READ, "/docs", documentation.docs),
    (READ, "/docs/{asset}", documentation.asset),
    (READ, "/openapi.json", documentation.document),
    (READ, "/v1/models", openai.models),
]
EXPOSED_HEADERS = (
    "x-compute-type", "x-compute-time", "x-total-time", "x-tokenization-time", "x-inference-time", "x-compute-characters",
    "x-compute-tokens", "x-cache-hits", "x-cache-misses", "x-model-sha", "x-request-id", "x-hf-warning",
)  # fmt: skip


def create_app(service: Service, keys: Keys | None, *, pages: bool = True) -> FastAPI:
    """The application over `service`, for the holders of `keys`; None leaves it open. Without `pages` these require a key too."""
    # Telemetry is handler/telemetry.py's: FastAPI's own would follow whatever OTEL_ variables the environment holds.
    off = TelemetryConfig(tracing=False, metrics=False, logs=False)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=off)
    for methods, path, dialect in ROUTES:
        # As FastAPI adds its own pages: for an endpoint that takes the request as it came, an API route would look for parameters
        # in vain, which is a quarter of what the framework takes of a request.
        app.add_route(path, _endpoint(path, dialect, service), methods=list(methods))
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(Gate, keys=keys, pages=pages)  # within the next one, so that a browser may read its refusals
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED_HEADERS
    )
    return app


def _endpoint(pattern: str, dialect: Dialect, service: Service) -> Callable[[Request], Awaitable[Response]]:
    # `async`: for a plain function a thread would be started, which takes 1 ms under Mangum.
    async def endpoint(request: Request) -> Response:
        request.scope["pattern"] = pattern
        return dialect(await Call.of(request, service))

    return endpoint


async def _no_route(request: Request, error: Exception) -> Response:
    """The answer where the framework has its own 404 or 405; OPTIONS is answered on every path."""
    del error
    found = (route for route in request.app.router.routes if route.matches(request.scope)[0] is not Match.NONE)
    allowed = [method for route in found for method in sorted(route.methods)]
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"allow": ", ".join([*allowed, "OPTIONS"])})
    # Not `request.url`, which is made of the host that the client names: `Host: [` is none.
    return routing_failure(request.method, request.scope["path"], allowed)
