"""The response of a dialect that embedded something: its content, and headers that say what it took."""

import time
from typing import Any

from fastapi import Response

from handler.http.request import Call
from handler.service import Embeddings

NS_PER_MS = 1_000_000


def answer(call: Call, content: bytes, result: Embeddings[Any]) -> Response:
    """A JSON response; durations in whole milliseconds, as text-embeddings-inference tells them."""
    total = str((time.perf_counter_ns() - call.started_ns) // NS_PER_MS)
    call.figures.update(result.figures)
    headers = {
        "x-compute-type": "cache" if result.hits == len(result.vectors) else "cpu",
        "x-cache-hits": str(result.hits),
        "x-cache-misses": str(result.misses),
        "x-compute-time": total,
        "x-total-time": total,
        "x-tokenization-time": str(result.tokenization_ns // NS_PER_MS),
        "x-inference-time": str(result.inference_ns // NS_PER_MS),
        "x-compute-characters": str(result.characters),
        "x-compute-tokens": str(result.tokens),
        "x-model-sha": call.service.manifest.digest,
    }
    if result.truncated:
        headers["x-hf-warning"] = (
            f"truncation; {result.truncated} of {len(result.vectors)} inputs were cut to {result.max_length} tokens"
        )
    return Response(content, headers=headers, media_type="application/json")
