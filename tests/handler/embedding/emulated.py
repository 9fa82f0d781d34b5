"""Print vectors of models as JSON: as the handler computes them on this CPU, and as graphs do without its options.

test_without_vnni.py runs this program on an emulated CPU.
"""

import json
import sys
from pathlib import Path

import encoder_operators
import numpy as np
import onnxruntime

from handler.embedding.cpu import kernel_class
from handler.embedding.encoders import load
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import Tokenization

TEXTS = ["a", "Is it raining?", "Is it sunny?", "Today is a sunny day and I will get some ice cream. " * 5]
"""Two of them have the same length."""


def vectors(folder: Path) -> dict[str, list[list[float]]]:
    """Return the texts' vectors, computed in both ways. A static model has no graph."""
    manifest = Manifest.read(folder)
    sequences = [tokens.ids for tokens in Tokenization(folder, manifest.max_length).tokenize(TEXTS, "right")]
    handler = load(folder, manifest, threads=1).encode(sequences).tolist()
    if manifest.encoder == "static":
        return {"handler": handler}
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(encoder_operators.LIBRARY))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(folder / GRAPH, options)
    return {
        "handler": handler,
        "plain": np.concatenate([plain.run(["pooled"], {"input_ids": ids[np.newaxis]})[0] for ids in sequences]).tolist(),
    }


def main(*folders: str) -> None:
    """Print the kernel class, and the vectors of each folder's model."""
    json.dump({"kernels": kernel_class(), "models": [vectors(Path(folder)) for folder in folders]}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
