"""What a client may ask of the server itself: whether it is well, and what it serves."""

import orjson
from fastapi import Request, Response

from handler.service import Service


async def health(request: Request, service: Service) -> Response:
    """200 and an empty object where the model is loaded; the failure that says why where it is not."""
    del request
    service.manifest  # noqa: B018 - raises where there is no model
    return Response(b"{}", media_type="application/json")


async def info(request: Request, service: Service) -> Response:
    """The model and the limits, under text-embeddings-inference's names."""
    del request
    manifest, settings = service.manifest, service.settings
    content = {
        "model_id": manifest.model_id,
        "model_sha": manifest.revision,
        "model_dtype": manifest.precision,
        "model_type": {"embedding": {"pooling": manifest.pooling}},
        "max_input_length": manifest.max_length,
        "max_client_batch_size": settings.max_client_batch_size,
        "max_batch_tokens": manifest.max_length * settings.max_client_batch_size,
        "auto_truncate": settings.auto_truncate,
        "prompts": manifest.prompts,
        "version": VERSION,
    }
    return Response(orjson.dumps(content), media_type="application/json")


VERSION = "0.1.0"
