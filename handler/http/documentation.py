"""Responses for browsers: the page to try the endpoint, and the documentation.

Law: no module, page or file is imported, read or assembled before a request asks for it.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson
from fastapi import Response

from handler.http import tei
from handler.http.request import HttpRequest


def root(request: HttpRequest) -> Response:
    """Send the page to clients that accept HTML, and the health of the endpoint to all others."""
    response = try_page(request) if "text/html" in request.headers.get("accept", "") else tei.health(request)
    response.headers["vary"] = "Accept"
    return response


def try_page(request: HttpRequest) -> Response:
    """Send the page to try the endpoint."""
    from handler.http.pages import page  # noqa: PLC0415 - see the law above

    del request
    return page("try")


def document(request: HttpRequest) -> Response:
    """Send the OpenAPI document."""
    from handler.http import openapi  # noqa: PLC0415 - see the law above

    del request
    return Response(orjson.dumps(openapi.document()), media_type="application/json")


def docs(request: HttpRequest) -> Response:
    """Send the page on which Swagger UI shows the document."""
    from handler.http.pages import page  # noqa: PLC0415 - see the law above

    del request
    return page("docs", script="'self'", style="'self'")


def style(request: HttpRequest) -> Response:
    """Send Swagger UI's style sheet."""
    return _file(request, "swagger-ui.css", "text/css")


def script(request: HttpRequest) -> Response:
    """Send Swagger UI's script."""
    return _file(request, "swagger-ui-bundle.js", "text/javascript")


def _file(request: HttpRequest, name: str, media_type: str) -> Response:
    """Send a file of Swagger UI's package, or 304 if the browser has it. The runtime layer holds only the two that are sent."""
    content, etag = _content(name)
    headers = {"cache-control": "public, max-age=604800, immutable", "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@cache
def _content(name: str) -> tuple[bytes, str]:
    """Read a file of Swagger UI's package; returns it with its ETag."""
    package = find_spec("flask_swagger_ui")  # found and not imported, since it would import Flask
    assert package and package.submodule_search_locations  # noqa: S101, PT018 - it is among the runtime layer's requirements
    content = Path(package.submodule_search_locations[0], "dist", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
