"""Save static models with random tables, as Sentence Transformers and Model2Vec do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model2vec import StaticModel
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as modules

from tests.layers.model.oracle.networks import HIDDEN
from tests.layers.model.random_weights import places, tensor

Save = Callable[[Path], object]


def embedding(
    network: Callable[[], Any], *after: str, limit: int | None = None, safe: bool = True, prompts: dict[str, Any] | None = None
) -> Save:
    """Save a StaticEmbedding with the tokenizer of a network, and the modules after it, as Sentence Transformers does."""

    def save(folder: Path) -> None:
        tokenizer = network()[1]._tokenizer
        tokenizer.enable_padding(length=8)  # the library switches it off
        if limit:
            tokenizer.enable_truncation(limit)
        table = torch.from_numpy(tensor("embedding.weight", (tokenizer.get_vocab_size(), HIDDEN)))
        first = modules.StaticEmbedding(tokenizer, embedding_weights=table)
        model = SentenceTransformer(modules=[first, *(ADDED[name]() for name in after)], device="cpu", **(prompts or {}))
        model.save(str(folder), create_model_card=False, safe_serialization=safe)

    return save


def model2vec(network: Callable[[], Any], kind: Any, rows: int | None = None, factors: Any = np.float32, **options: Any) -> Save:
    """Save a table of numbers of a type as Model2Vec does. Its tokens share `rows`, and each has a factor, if there are `rows`."""

    def save(folder: Path) -> None:
        tokenizer = network()[1]._tokenizer
        tokens = tokenizer.get_vocab_size()
        shared = (
            {"weights": tensor("weights", (tokens,)).astype(factors), "token_mapping": places("mapping", tokens, rows)}
            if rows
            else {}
        )
        vectors = tensor("embeddings", (rows or tokens, HIDDEN), kind)
        config = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": HIDDEN, "seq_length": 1000000}
        StaticModel(vectors, tokenizer, config, **shared, **options).save_pretrained(folder)
        (folder / "README.md").unlink()

    return save


ADDED: dict[str, Callable[[], Any]] = {"Normalize": modules.Normalize, "Dropout": modules.Dropout}
"""The modules that can follow."""
