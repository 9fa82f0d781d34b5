"""The functions that were built for arm64 run on this machine, in an emulator of that processor: `make arm64`, some minutes."""

import json
import os
import pydoc_data.topics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.embedding.encoder import ENCODER_REVISION
from layers.runtime.operators import build
from tests.conftest import FP32, INT8, ROOT
from tests.layers.runtime import reference, revision
from tests.layers.runtime.operators import Array, Operators, layer, linear_inputs, write

TEXTS = [
    "Today is a sunny day and I will get some ice cream.",
    "How is the weather?",
    "Die Straße führt über die Brücke.",
    "Today is a sunny day and I will get some ice cream. " * 5,
    " ".join(pydoc_data.topics.topics["assignment"].split())[:2000],  # more than the model takes
]
SHORT = TEXTS[:3]
"""Short texts for float32, for which the emulator needs two seconds per token."""
# Imports all that the functions import. Prints the encoder's vectors of each model's texts; and the kernels that a session is given
# if it asks for none, and each operator's results with those that it asks for.
SCRIPT = """
import json, os, platform, sys
from pathlib import Path
assert platform.machine() == "aarch64" and not os.path.exists("/sys"), "not the machine that was meant"
import encoder_operators, onnxruntime
import handler.functions.api
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization

def vectors(model, texts):
    manifest = Manifest.read(model)
    sequences = [tokens.ids for tokens in Tokenization(model, manifest.max_length).tokenize(texts, "right")]
    return Encoder(model, manifest, threads=1).encode(sequences)

def options(kernels):
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = 1
    if kernels:
        made.add_session_config_entry("encoder.kernels", kernels)
    made.register_custom_ops_library(str(encoder_operators.LIBRARY))
    return made

def results(kernels, graphs):
    try:
        options(kernels)
    except Exception as refusal:
        return str(refusal)
    return [onnxruntime.InferenceSession(graph, options(kernels)).run(None, {})[0].tobytes().hex() for graph in graphs]

asked = json.load(sys.stdin)
json.dump({
    "vectors": [vectors(Path(model), texts).tolist() for model, texts in asked["models"]],
    "kernels": options(None).get_session_config_entry("encoder.kernels"),
    "results": {kernels: results(kernels, asked["graphs"]) for kernels in asked["kernels"]},
}, sys.stdout)
"""
KERNELS = {"neoverse-n1": ["dotprod"], "max": ["i8mm", "dotprod"]}
"""The sets of kernels of each emulated processor, the fastest first: Graviton2, and a processor with every extension."""

pytestmark = pytest.mark.skipif(not os.environ.get("RUN_ARM64"), reason="`make arm64` runs these")


def printed(asked: Mapping[str, Any], *command: str | Path) -> dict[str, Any]:
    """Run the script by a command and return its output."""
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
    return dict(json.loads(ran.stdout))


def cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosine of each text's two vectors."""
    found: np.ndarray = (vectors * others).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(others, axis=1)
    return found


def operators(generator: np.random.Generator) -> list[tuple[str, dict[str, Any]]]:
    """Make operators of random sizes with random inputs: few and many rows, and blocks of every length."""

    def normal(*shape: int) -> Array:
        return generator.normal(0, 1, shape).astype(np.float32)

    found: list[tuple[str, dict[str, Any]]] = []
    for rows in range(1, 26):
        inputs, outputs, tokens, width = (int(most) for most in generator.integers(1, [460, 90, 60, 70]))
        given = linear_inputs(normal(rows, inputs), layer(generator, inputs, outputs))
        found += [("Linear", {**given, "gelu": 0}), ("Linear", {**given, "gelu": 1})]
        found.append(("Attention", {"qkv": normal(2, tokens, 6 * width), "bias": normal(1, 2, tokens, tokens), "heads": 2}))
        norm = {"one": normal(1, rows, inputs), "other": normal(1, rows, inputs), "gamma": normal(inputs), "beta": normal(inputs)}
        found += [("AddNorm", {**norm, "epsilon": 1e-12}), ("Mean", {"values": normal(2, rows, width)})]
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the vectors that this processor computes."""
    script = tmp_path_factory.mktemp("here") / "script.py"
    script.write_text(SCRIPT.replace('"aarch64" and not os.path.exists("/sys")', '"x86_64"'))
    return printed({"models": [(str(INT8), TEXTS), (str(FP32), SHORT)], "kernels": [], "graphs": []}, sys.executable, script)


@pytest.mark.parametrize("cpu", KERNELS)
def test_the_arm64_artefact_gives_the_results_of_the_x86_one(cpu: str, here: dict[str, Any], tmp_path: Path) -> None:
    """All bits of int8 are equal with each set of kernels. Float32 is added in another order: its cosine is at least 0.999999."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "graphs").mkdir()
    asked = [*revision.INPUTS, *operators(np.random.default_rng(1))]
    for place, (operator, inputs) in enumerate(asked):
        write(tmp_path / f"graphs/{place}.onnx", operator, **inputs)
    models = [("/opt/model", TEXTS), ("/tmp/model-fp32", SHORT)]  # noqa: S108 - the emulated machine's
    graphs = [f"/tmp/graphs/{place}.onnx" for place in range(len(asked))]  # noqa: S108 - likewise
    told = printed(
        # Of float32 our kernels compute nothing: one processor is enough.
        {"models": models if cpu == "max" else models[:1], "kernels": list(build.KERNELS["arm64"]), "graphs": graphs},
        *(ROOT / "tests/infra/arm64.sh", cpu, ROOT / "build/lambda-arm64", ROOT / "build/arm64", tmp_path / "script.py"),
        *(FP32, tmp_path / "graphs"),
    )

    expected = [Operators().run(operator, **inputs) for operator, inputs in asked]
    for (operator, inputs), result in zip(asked, expected, strict=True):
        if operator == "Linear" and not inputs["gelu"] and inputs["rows"].ndim == 2:
            weights = reference.unpacked(inputs["weights"], *inputs["rows"].shape[1:], *inputs["bias"].shape)
            parts = weights, inputs["scales"], inputs["bias"], inputs["smoothing"]
            np.testing.assert_array_equal(result, reference.linear(inputs["rows"], parts))
    for kernels in build.KERNELS["arm64"]:
        found = told["results"][kernels]
        if kernels in KERNELS[cpu]:
            assert found == [result.tobytes().hex() for result in expected]
            bits = [np.frombuffer(bytes.fromhex(result), np.float32) for result in found[: len(revision.INPUTS)]]
            assert revision.sha256(bits) == revision.BITS[ENCODER_REVISION]
            sys.stdout.write(f"\n{cpu}, {kernels}: {len(found)} results of operators are the bits of x86-64, and those of BITS\n")
        else:
            assert "this processor lacks the instructions" in found
            sys.stdout.write(f"\n{cpu}, {kernels}: refused, {found}\n")

    theirs, ours = ([np.array(each) for each in told["vectors"]], [np.array(each) for each in here["vectors"]])
    assert told["kernels"] == KERNELS[cpu][0]
    assert np.array_equal(theirs[0], ours[0])
    sys.stdout.write(f"{cpu}, {told['kernels']}: {len(TEXTS)} texts' int8 vectors are the bits of x86-64 ({here['kernels']})\n")
    for one, other in zip(theirs[1:], ours[1:], strict=False):
        exact = cosines(one, other)
        sys.stdout.write(f"{cpu}: cosines of float32 vectors to those of x86-64: {np.round(exact, 7)}\n")
        assert exact.min() >= 0.999999
