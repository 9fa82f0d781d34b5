"""Read the reference models that the oracle package wrote, and write them as folders."""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors.numpy

from tests.layers.model import random_weights

FOLDER = Path(__file__).with_name("references")
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
RERANKERS = Path(__file__).with_name("rerankers")
"""The folder of reference cross-encoders."""
FAMILIES = (
    *("electra", "nomic", "nomic-own-code", "qwen2", "qwen3", "qwen3-sliding", "modernbert", "modernbert-biases"),
    *("gte", "gte-new", "gte-separate", "gemma3", "gemma3-causal", "jina", "jina-code", "eurobert", "eurobert-biases"),
)
"""The reference models of the families after BERT's, without those that differ from these in shapes alone."""
TYPES: Mapping[str, Any] = {"F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16, "F64": np.float64, "I8": np.int8}


def load(name: str, place: Path = FOLDER) -> dict[str, Any]:
    """Return a reference model: its files, and the official library's vectors or scores."""
    reference: dict[str, Any] = json.loads((place / f"{name}.json").read_text(encoding="utf-8"))
    return reference


def write(name: str, folder: Path, place: Path = FOLDER) -> Path:
    """Write the model's folder, with its random weights."""
    for file, content in load(name, place)["files"].items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS.get(path.suffix, _compressed)(path, content)
    return folder


def _json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _tensors(path: Path, content: Mapping[str, tuple[str, list[int]]]) -> None:
    tensors = {
        name: random_weights.tensor(_plain(name), shape, TYPES[kind]) for name, (kind, shape) in content.items() if kind in TYPES
    }
    if "mapping" in content:
        (tokens,), (rows, _) = (content[name][1] for name in ("mapping", "embeddings"))
        tensors["mapping"] = random_weights.places("mapping", tokens, rows)
    safetensors.numpy.save_file(tensors, path)


def _plain(name: str) -> str:
    """Return the tensor's name without the prefix of a model with a head: its weights depend on that name."""
    return name.removeprefix("bert.")


def _compressed(path: Path, content: str) -> None:
    path.write_bytes(zlib.decompress(base64.b64decode(content)))


def _text(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")


WRITERS: Mapping[str, Callable[[Path, Any], None]] = {".json": _json, ".safetensors": _tensors, ".txt": _text}
"""The writer of each suffix. All other files are compressed."""
