"""What a browser is shown: the page to try the endpoint, and the documentation.

Law: nothing of it is imported, read or put together until it is asked for; it is not on an embedding's way.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson
from fastapi import Response

from handler.http import tei
from handler.http.errors import NotFound
from handler.http.request import Call

ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
"""Swagger UI's own files under /docs/, by name. Only these two of its package are in the runtime layer."""


def root(call: Call) -> Response:
    """The page for whoever takes HTML, and whether the model is loaded for all others."""
    response = try_page(call) if "text/html" in call.headers.get("accept", "") else tei.health(call)
    response.headers["vary"] = "Accept"
    return response


def try_page(call: Call) -> Response:
    """The page to try the endpoint by eye."""
    from handler.http.pages import page  # noqa: PLC0415 - as the module says

    del call
    return page("try")


def document(call: Call) -> Response:
    """The OpenAPI document."""
    from handler.http import openapi  # noqa: PLC0415 - as the module says

    del call
    return Response(orjson.dumps(openapi.document()), media_type="application/json")


def docs(call: Call) -> Response:
    """Swagger UI over the document."""
    from handler.http.pages import page  # noqa: PLC0415 - as the module says

    del call
    return page("docs", script="'self'", style="'self'")


def asset(call: Call) -> Response:
    """One of Swagger UI's files, from its package.

    Raises:
        NotFound: it is none of them.
    """
    name = call.path_params["asset"]
    if name not in ASSETS:
        msg = f"There is nothing at /docs/{name[:200]}"
        raise NotFound(msg)
    content, etag = _asset(name)
    headers = {"cache-control": "public, max-age=604800, immutable", "etag": etag}
    if etag in call.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=ASSETS[name])


@cache
def _asset(name: str) -> tuple[bytes, str]:
    """Read a file of Swagger UI's package; returns it with its ETag."""
    package = find_spec("flask_swagger_ui")  # found and not imported, since it would import Flask
    assert package and package.submodule_search_locations  # noqa: S101, PT018 - it is among the runtime layer's requirements
    content = Path(package.submodule_search_locations[0], "dist", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
