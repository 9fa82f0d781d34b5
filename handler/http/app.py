"""The FastAPI application: joins the table of routes, the middleware and CORS."""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match

from handler.http import feature_extraction  # noqa: F401 - imported in the init phase: most requests are for it
from handler.http.errors import routing_failure
from handler.http.middleware import RequestMiddleware
from handler.http.request import HttpRequest
from handler.http.responses import EXPOSED_HEADERS
from handler.http.routes import ROUTES
from handler.keys import Keys
from handler.service import Service

type Dialect = Callable[[HttpRequest], Response]


def create_app(service: Service, keys: Keys | None, *, pages: bool = True) -> FastAPI:
    """Make the application. It requires one of `keys`; None requires no key. Unless `pages`, the pages require a key too."""
    # handler/telemetry.py is the only telemetry: FastAPI's own would follow any OTEL_ variables of the environment.
    off = TelemetryConfig(tracing=False, metrics=False, logs=False)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=off)
    for route in ROUTES:
        for path in route.paths:
            # Not `add_api_route`: it would look for the parameters of an endpoint, which takes a quarter of the framework's time.
            app.add_route(path, _endpoint(path, route.dialect, service), methods=list(route.methods))
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(RequestMiddleware, keys=keys, pages=pages)  # inside the next one, so that browsers can read errors
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED_HEADERS
    )
    return app


def _endpoint(pattern: str, dialect: str, service: Service) -> Callable[[Request], Awaitable[Response]]:
    # `async`, because Starlette would run a plain function on a thread, which takes 1 ms under Mangum.
    async def endpoint(request: Request) -> Response:
        request.scope["pattern"] = pattern
        return resolve(dialect)(await HttpRequest.read(request, service))

    return endpoint


@cache
def resolve(dialect: str) -> Dialect:
    """Import the function that a row of the table names."""
    module, _, name = dialect.partition(":")
    found: Dialect = getattr(import_module(f"handler.http.{module}"), name)
    return found


async def _no_route(request: Request, error: Exception) -> Response:
    """Respond to a request that matches no route; OPTIONS has a response on every path."""
    del error
    found = (route for route in request.app.router.routes if route.matches(request.scope)[0] is not Match.NONE)
    allowed = [method for route in found for method in sorted(route.methods)]
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"allow": ", ".join([*allowed, "OPTIONS"])})
    # Not `request.url`: it is made from the client's Host header, and raises for `Host: [`.
    return routing_failure(request.method, request.scope["path"], allowed)
