"""A model folder with a very fast network: a table of 64 vectors. A text gets the mean of its first tokens' vectors."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from handler.embedding.manifest import GRAPH, TOKENIZER, WEIGHTS, Manifest, sha256
from tests.conftest import INT8

OPSET, IR_VERSION = 21, 10
ROWS = 64
MAX_LENGTH = 16


def write(folder: Path) -> Path:
    """Write the folder. Dimension and tokenizer are the default model's."""
    manifest = Manifest.read(INT8)
    vectors = np.random.default_rng(7).standard_normal((ROWS, manifest.dimension), np.float32)
    constants = {"vectors": vectors, "rows": np.array(ROWS), "axes": np.array([1])}
    graph = helper.make_graph(
        nodes=[
            helper.make_node("Mod", ["input_ids", "rows"], ["row"]),
            helper.make_node("Gather", ["vectors", "row"], ["token_embeddings"]),
            helper.make_node("ReduceMean", ["token_embeddings", "axes"], ["pooled"], keepdims=0),
        ],
        name="quick",
        inputs=[helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        outputs=[
            helper.make_tensor_value_info("token_embeddings", TensorProto.FLOAT, [1, "tokens", manifest.dimension]),
            helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, manifest.dimension]),
        ],
        initializer=[numpy_helper.from_array(constant, name) for name, constant in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION), folder / GRAPH)
    (folder / WEIGHTS).touch()
    shutil.copy(INT8 / TOKENIZER, folder)
    files = {name: sha256(folder, name) for name in (GRAPH, WEIGHTS, TOKENIZER)}
    replace(manifest, max_length=MAX_LENGTH, files=files).write(folder)
    return folder
