"""A model in S3: its weights, the files that were fetched, and a vector that it gives."""

from collections.abc import Callable
from pathlib import Path

from handler.service import Options, Service
from tests.faults.proxy import FaultProxy

WEIGHTS = "model.onnx.data"
type Refusal = Callable[[Service], str]


def vector(service: Service) -> bytes:
    """Return the bytes of a text's vector."""
    return service.embed(["How is the weather?"], Options(use_cache=False)).vectors.tobytes()


def file_names(folder: Path) -> set[str]:
    """Return the names of all files under a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def fetched(proxy: FaultProxy, name: str) -> int:
    """Return the number of requests for parts of an object since the model was copied."""
    return sum(calls for call, calls in proxy.calls.items() if call.startswith("GET") and call.endswith(f"/{name}"))
