"""Vectors of a model as the handler makes them on the CPU this runs on, and as its graph as written would.

Run by test_without_vnni.py in an emulated CPU; prints JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from handler.embedding.cpu import kernel_class
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import Tokenization

TEXTS = ["Today is a sunny day and I will get some ice cream.", "Is it raining?", "Ünïcödé and numbers: 3.14159."]


def main(folder: Path) -> None:
    """Print the kernel class, and the texts' vectors in both ways."""
    manifest = Manifest.read(folder)
    sequences = [tokens.ids for tokens in Tokenization(folder, manifest.max_length).tokenize(TEXTS, "right")]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(folder / GRAPH, options)
    found = {
        "kernels": kernel_class(),
        "handler": Encoder(folder, manifest, threads=1).encode(sequences).tolist(),
        "plain": np.concatenate([plain.run(["pooled"], {"input_ids": ids[np.newaxis]})[0] for ids in sequences]).tolist(),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
