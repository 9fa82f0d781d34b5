"""paraphrase-MiniLM-L3-v2 as a Sentence Transformers folder, its weights taken from an ONNX file that a package has.

torch exported that file (opset 17): tensors keep their names, but for the matrices of linear layers, which are transposed and named
by a number; the operator that multiplies by one is named for its layer. The package has no tokenizer: the model's is
all-MiniLM-L6-v2's.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
from onnx import numpy_helper

from layers.model import packages
from tests.layers.model import folders

NAME = "sentence-transformers/paraphrase-MiniLM-L3-v2"
VERSION = "0.2.1"
"""The package's; it names no revision."""
REQUIREMENTS = Path(__file__).with_name("paraphrase-MiniLM-L3-v2.txt")
ENCODER = "model.0.auto_model."
"""Before the names of the encoder's tensors in the file."""
POOLED = "461"
"""The file's output with the texts' vectors."""

FILES = {
    "modules.json": folders.modules("Transformer", "Pooling"),
    "config.json": {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": 384,
        "num_attention_heads": 12,
        "num_hidden_layers": 3,
        "intermediate_size": 1536,
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    },
    "sentence_bert_config.json": {"max_seq_length": 128, "do_lower_case": False},
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def folder(cache: Path, say: Callable[[str], None]) -> Path:
    """Return the model's folder, written if it is not there."""
    place = cache / "written" / NAME.rpartition("/")[2]
    if not (place / "model.safetensors").exists():
        folders.write(place, FILES)
        tokenizer = packages.pinned(packages.DEFAULT, cache, say)
        for name in TOKENIZER_FILES:
            shutil.copy(tokenizer / name, place / name)
        safetensors.numpy.save_file(_weights(exported(cache, say)), place / "model.safetensors")
    return place


def exported(cache: Path, say: Callable[[str], None]) -> Path:
    """Return the package's ONNX file, fetched if it is not there."""
    place = cache / "packages" / NAME.rpartition("/")[2]
    if not place.exists():
        say(f"Fetching the package of {NAME}")
        packages.install(NAME, ["--require-hashes", "-r", str(REQUIREMENTS)], place)
    (path,) = place.rglob("*.onnx")
    return path


def _weights(path: Path) -> dict[str, np.ndarray]:
    """Return the encoder's tensors by the names that BERT's checkpoints have."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name.removeprefix(ENCODER): tensor for name, tensor in tensors.items() if name.startswith(ENCODER)}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in tensors:
            layer = node.name.partition("/auto_model/")[2].removesuffix("/MatMul").replace("/", ".")
            weights[f"{layer}.weight"] = np.ascontiguousarray(tensors[node.input[1]].T)
    return weights
