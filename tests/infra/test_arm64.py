"""The artefact for arm64, run on this machine by an emulator of that processor: `make arm64`, some minutes.

In float32 a vector is the same on both processors. In int8 it is the same but for how activations are rounded: float32 kernels
differ in the last bit, a number that lies between two steps then goes to the other one, and every layer makes more of that. It
takes no other processor: with the last bit of its LayerNorms' weights changed, the same graph on the same CPU gives vectors as far
from its own; this prints them too.
"""

import json
import os
import pydoc_data.topics
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from handler.embedding.manifest import GRAPH, Manifest, sha256
from tests.conftest import FP32, INT8, ROOT

TEXTS = [
    "Today is a sunny day and I will get some ice cream.",
    "How is the weather?",
    "Die Straße führt über die Brücke.",
    "Today is a sunny day and I will get some ice cream. " * 5,  # every sentence is rounded alike
    " ".join(pydoc_data.topics.topics["assignment"].split())[:2000],  # more than the model takes
]
SHORT = TEXTS[:3]
"""For float32, of which the emulator computes a token in two seconds."""
# Imports all that the functions import, and prints the vectors of each model's texts.
SCRIPT = """
import json, os, platform, sys
assert platform.machine() == "aarch64" and not os.path.exists("/sys"), "not the machine that was meant"
import handler.functions.api
from handler.bootstrap import load_service
from handler.service import Options
asked = ((load_service({"MODEL_DIR": model}), texts) for model, texts in json.load(sys.stdin))
json.dump([service.embed(texts, Options(use_cache=False)).vectors.tolist() for service, texts in asked], sys.stdout)
"""

pytestmark = pytest.mark.skipif(not os.environ.get("RUN_ARM64"), reason="`make arm64` runs these")


def vectors(asked: list[tuple[str, list[str]]], *command: str | Path) -> list[np.ndarray]:
    """What a command prints: for each model, the vectors of its texts."""
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=json.dumps(asked),
        text=True,
        capture_output=True,
        timeout=3600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [np.array(found) for found in json.loads(ran.stdout)]


def disturbed(folder: Path) -> Path:
    """The int8 model in `folder`, the weights of its LayerNorms one step of float32 further from zero."""
    shutil.copytree(INT8, folder)
    model = onnx.load(INT8 / GRAPH, load_external_data=False)
    weights = {node.input[1] for node in model.graph.node if node.op_type == "LayerNormalization"}
    assert weights
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            values = onnx.numpy_helper.to_array(tensor, str(INT8))
            further = np.nextafter(values, np.copysign(np.float32(np.inf), values))
            tensor.CopyFrom(onnx.numpy_helper.from_array(further, tensor.name))
    onnx.save(model, folder / GRAPH)
    manifest = Manifest.read(INT8)
    replace(manifest, files=manifest.files | {GRAPH: sha256(folder, GRAPH)}).write(folder)
    return folder


def test_the_arm64_artefact_gives_the_vectors_of_the_x86_one(tmp_path: Path) -> None:
    """In float32 to 0.999999 of cosine. In int8 to 0.999, which is what rounding may do: weights that saturate would give 0.99."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    emulated = [ROOT / "tests/infra/arm64.sh", ROOT / "build/lambda-arm64", ROOT / "build/arm64", script, FP32]
    theirs = vectors([("/tmp/model", SHORT), ("/opt/model", TEXTS)], *emulated)  # noqa: S108 - the emulated machine's
    script.write_text(SCRIPT.replace('"aarch64" and not os.path.exists("/sys")', '"x86_64"'))
    other_bit = str(disturbed(tmp_path / "disturbed"))
    *ours, other = vectors([(str(FP32), SHORT), (str(INT8), TEXTS), (other_bit, TEXTS)], sys.executable, script)
    exact, int8 = ((one * another).sum(axis=1) for one, another in zip(theirs, ours, strict=True))
    sys.stdout.write(f"Cosines of arm64 to x86, float32: {np.round(exact, 7)}, int8: {np.round(int8, 5)}\n")
    sys.stdout.write(f"x86's int8 to its own with another last bit: {np.round((ours[1] * other).sum(axis=1), 5)}\n")
    assert exact.min() >= 0.999999
    assert int8.min() >= 0.999
