"""A model of gte-large's shape with random weights, as a Sentence Transformers folder: as large, as slow, and nothing in it."""

import json
import shutil
from pathlib import Path

import numpy as np
import safetensors.numpy

from layers.model import packages
from layers.model.architectures import Shape
from layers.model.configuration import Configuration

CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "intermediate_size": 4096,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
SPREAD = 0.02
"""BERT's own `initializer_range`."""


def write(folder: Path, cache: Path) -> Path:
    """Write the folder; its tokenizer is the default model's, which has gte-large's vocabulary."""
    tokenizer = packages.pinned(packages.DEFAULT, cache, lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "config.json": CONFIG,
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": CONFIG["hidden_size"], "pooling_mode_mean_tokens": True},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    safetensors.numpy.save_file(_weights(), folder / "model.safetensors")
    return folder


def _weights() -> dict[str, np.ndarray]:
    """Float16, as gte-large is published; the same on every call."""
    generator = np.random.default_rng(7)
    tensors = {}
    for name, shape in Shape.read(Configuration("config.json", CONFIG)).tensors().items():
        values = SPREAD * generator.standard_normal(shape, dtype=np.float32)
        tensors[name] = (values + name.endswith("LayerNorm.weight")).astype(np.float16)
    return tensors
