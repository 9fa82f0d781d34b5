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
from handler.http.request import Call


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


def style(call: Call) -> Response:
    """Send Swagger UI's style sheet."""
    return _file(call, "swagger-ui.css", "text/css")


def script(call: Call) -> Response:
    """Send Swagger UI's script."""
    return _file(call, "swagger-ui-bundle.js", "text/javascript")


def _file(call: Call, name: str, media_type: str) -> Response:
    """Send a file of Swagger UI's package, or 304 if the browser has it. The runtime layer holds only the two that are sent."""
    content, etag = _content(name)
    headers = {"cache-control": "public, max-age=604800, immutable", "etag": etag}
    if etag in call.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@cache
def _content(name: str) -> tuple[bytes, str]:
    """Read a file of Swagger UI's package; returns it with its ETag."""
    package = find_spec("flask_swagger_ui")  # found and not imported, since it would import Flask
    assert package and package.submodule_search_locations  # noqa: S101, PT018 - it is among the runtime layer's requirements
    content = Path(package.submodule_search_locations[0], "dist", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
