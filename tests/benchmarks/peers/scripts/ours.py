"""Ours, as a function gets it."""

import os

from serving import serve

from handler.bootstrap import load_service
from handler.service import Options


def load(folder, threads):
    """The service; calls of any size, as the pipeline makes them."""
    held = {"KERNELS": os.environ["KERNELS"]} if "KERNELS" in os.environ else {}
    service = load_service({"MODEL_DIR": folder, "THREADS": str(threads), "CACHE_MEMORY_MB": "0", **held})
    return lambda texts: service.embed(texts, Options(use_cache=False)).vectors


serve(load)
