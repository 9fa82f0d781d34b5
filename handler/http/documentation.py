"""The documentation's two routes. What they show is imported when asked for: nothing of it is on an embedding's way."""

import orjson
from fastapi import Response

from handler.http.call import Call


def document(call: Call) -> Response:
    """The OpenAPI document."""
    from handler.http import openapi  # noqa: PLC0415 - as the module says

    del call
    return Response(orjson.dumps(openapi.document()), media_type="application/json")


def page(call: Call) -> Response:
    """Swagger UI over the document."""
    from fastapi.openapi.docs import get_swagger_ui_html  # noqa: PLC0415 - as the module says

    del call
    return get_swagger_ui_html(openapi_url="openapi.json", title="Embeddings on Lambda")
