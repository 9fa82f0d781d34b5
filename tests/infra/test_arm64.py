"""The artefact for arm64, run on this machine by an emulator of that processor: `make arm64`, some minutes."""

import json
import os
import pydoc_data.topics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import FP32, INT8, ROOT

TEXTS = [
    "Today is a sunny day and I will get some ice cream.",
    "How is the weather?",
    "Die Straße führt über die Brücke.",
    "Today is a sunny day and I will get some ice cream. " * 5,
    " ".join(pydoc_data.topics.topics["assignment"].split())[:2000],  # more than the model takes
]
SHORT = TEXTS[:3]
"""For float32, of which the emulator computes a token in two seconds."""
# Imports all that the functions import, and prints the encoder's vectors of each model's texts.
SCRIPT = """
import json, os, platform, sys
from pathlib import Path
assert platform.machine() == "aarch64" and not os.path.exists("/sys"), "not the machine that was meant"
import handler.functions.api
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization

def vectors(model, texts):
    manifest = Manifest.read(model)
    sequences = [tokens.ids for tokens in Tokenization(model, manifest.max_length).tokenize(texts, "right")]
    return Encoder(model, manifest, threads=1).encode(sequences)

json.dump([vectors(Path(model), texts).tolist() for model, texts in json.load(sys.stdin)], sys.stdout)
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


def cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each text's vectors."""
    found: np.ndarray = (vectors * others).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(others, axis=1)
    return found


def test_the_arm64_artefact_gives_the_vectors_of_the_x86_one(tmp_path: Path) -> None:
    """In int8 bit for bit; in float32, which ONNX Runtime sums in each processor's own order, to 0.999999 of cosine."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    emulated = [ROOT / "tests/infra/arm64.sh", ROOT / "build/lambda-arm64", ROOT / "build/arm64", script, FP32]
    theirs = vectors([("/tmp/model", SHORT), ("/opt/model", TEXTS)], *emulated)  # noqa: S108 - the emulated machine's
    script.write_text(SCRIPT.replace('"aarch64" and not os.path.exists("/sys")', '"x86_64"'))
    ours = vectors([(str(FP32), SHORT), (str(INT8), TEXTS)], sys.executable, script)
    exact, int8 = (cosines(one, another) for one, another in zip(theirs, ours, strict=True))
    sys.stdout.write(f"Cosines of arm64 to x86, float32: {np.round(exact, 7)}, int8: {np.round(int8, 7)}\n")
    assert exact.min() >= 0.999999
    assert np.array_equal(theirs[1], ours[1])
