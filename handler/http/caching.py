"""The cache on the wire: the header that turns it off for a request, and those that tell what came from it."""

from collections.abc import Mapping
from dataclasses import replace

from handler.service import Embeddings, Options

OFF = {"false", "0"}


def obeying(headers: Mapping[str, str], options: Options) -> Options:
    """The options, without the cache if the header `x-use-cache` says so too."""
    wanted = headers.get("x-use-cache", "").strip().lower() not in OFF
    return replace(options, use_cache=options.use_cache and wanted)


def cache_headers(result: Embeddings) -> dict[str, str]:
    """Whether every vector came from the cache, and how many did."""
    return {
        "x-compute-type": "cache" if result.hits == len(result.vectors) else "cpu",
        "x-cache-hits": str(result.hits),
        "x-cache-misses": str(result.misses),
    }
