"""Write a tiny static model with random rows as a Sentence Transformers folder, or as a folder of Model2Vec."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from tests.layers.model import folders, tiny_bert
from tests.layers.model.random_weights import tensor

DIMENSION = 16
TOKENS = len(tiny_bert.VOCABULARY)
LIMIT = 16
"""The number of tokens to which the tokenizer of tiny_bert truncates."""


def write(folder: Path, *after: str, tensors: dict[str, np.ndarray] | None = None, **files: Any) -> Path:  # noqa: ANN401 - JSON
    """Write the folder with the modules `after` the table; `files` has further JSON files by their stems."""
    folder.mkdir(parents=True)
    folders.write(folder, {"modules.json": folders.modules("StaticEmbedding", *after)})
    folders.write(folder, {f"{stem}.json": content for stem, content in files.items()})
    safetensors.numpy.save_file(tensors or {"embedding.weight": rows()}, folder / "model.safetensors")
    tiny_bert.tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def rows() -> np.ndarray:
    """Return the row of each token, the same on every call."""
    return tensor("embedding.weight", (TOKENS, DIMENSION))
