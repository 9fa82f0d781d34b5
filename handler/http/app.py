"""The FastAPI application: which path is answered by which dialect."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from handler.errors import EmbeddingError
from handler.http.errors import failure, routing_failure, unexpected
from handler.http.feature_extraction import feature_extraction
from handler.http.server import health, info
from handler.service import Service

type Dialect = Callable[[Request, Service], Awaitable[Response]]

WRITE = ("POST",)
READ = ("GET", "HEAD")
ROUTES: list[tuple[Sequence[str], str, Dialect]] = [
    (WRITE, "/", feature_extraction),
    (WRITE, "/embed", feature_extraction),
    (READ, "/", health),
    (READ, "/health", health),
    (READ, "/info", info),
]


def create_app(service: Service) -> FastAPI:
    """The application over `service`."""
    # Telemetry is handler/telemetry.py's: FastAPI's own would follow whatever OTEL_ variables the environment holds.
    off = TelemetryConfig(tracing=False, metrics=False, logs=False)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=off)
    for methods, path, dialect in ROUTES:
        app.add_api_route(path, _endpoint(dialect, service), methods=list(methods), response_model=None)
    app.add_exception_handler(HTTPException, _no_route)
    return app


def _endpoint(dialect: Dialect, service: Service) -> Callable[[Request], Awaitable[Response]]:
    # `async` and with the raw request: FastAPI starts a thread for a plain function (1 ms under Mangum) and would parse the body
    # a second time for a typed one.
    async def endpoint(request: Request) -> Response:
        try:
            response = await dialect(request, service)
        except EmbeddingError as error:
            response = failure(error)
        except Exception as error:  # noqa: BLE001 - the last line before the wire: nothing else may tell the client
            response = unexpected(error)
        if request.method == "HEAD":
            response.body = b""
        return response

    return endpoint


async def _no_route(request: Request, error: Exception) -> Response:
    del error  # the framework's own 404 or 405
    allowed = [method for methods, path, _ in ROUTES if path == request.url.path for method in methods]
    return routing_failure(request.method, request.url.path, allowed)
