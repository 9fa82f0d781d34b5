"""Int8 models on an x86 CPU without VNNI, which QEMU emulates (`make without-vnni`)."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.embedding.cpu import saturates
from tests.conftest import INT8, ROOT
from tests.handler.embedding import emulated
from tests.layers.model import references
from tests.layers.model.commands import built

pytestmark = pytest.mark.skipif("RUN_EMULATED" not in os.environ, reason="`make without-vnni` emulates the CPU")
LACKING = re.compile(r" (avx512\w*|avx_vnni|amx\w*)")
"""The instruction sets that this machine may have and the emulated CPU lacks."""


def run(*command: str | Path) -> dict[str, Any]:
    """Run emulated.py and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def on_this_cpu(*models: Path) -> list[dict[str, list[list[float]]]]:
    """Return each model's vectors, computed on this CPU."""
    return list(run(sys.executable, emulated.__file__, *models)["models"])


def on_haswell(folder: Path, *models: Path) -> list[dict[str, list[list[float]]]]:
    """Return each model's vectors, computed on an emulated Haswell. QEMU looks for files under the folder after -L first."""
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    assert qemu
    cpuinfo = folder / "haswell/proc/cpuinfo"
    cpuinfo.parent.mkdir(parents=True)
    cpuinfo.write_text(LACKING.sub("", Path("/proc/cpuinfo").read_text()))
    found = run(qemu, "-cpu", "Haswell", "-L", folder / "haswell", sys.executable, emulated.__file__, *models)
    assert saturates(found["kernels"])
    return list(found["models"])


def cosines(vectors: list[list[float]], reference: list[list[float]]) -> np.ndarray:
    """Return the cosine of each text's two vectors."""
    one, other = (np.array(each) / np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors, reference))
    found: np.ndarray = (one * other).sum(axis=1)
    return found


def test_the_default_model_gives_the_same_bits_as_on_this_cpu(tmp_path: Path) -> None:
    """It consists of the encoder's own operators, which compute the same bits on every CPU."""
    (here,), (there,) = on_this_cpu(INT8), on_haswell(tmp_path, INT8)
    assert there == here
    assert here["handler"] == here["plain"]


@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_a_static_model_gives_the_same_bits_as_on_this_cpu(precision: str, tmp_path: Path) -> None:
    """It adds in one order, which no instruction set changes."""
    model = built(references.write("static", tmp_path / "source"), tmp_path / "model", "--precision", precision)
    assert on_haswell(tmp_path, model) == on_this_cpu(model)


def test_weights_are_made_unsigned_on_a_cpu_where_signed_ones_saturate(tmp_path: Path) -> None:
    """The handler's vectors are then as close to float32's as with VNNI, and those of the graph as written are not.

    The model is made from its own ONNX file.
    """
    source = references.write("llama-onnx", tmp_path / "source")
    int8 = built(source, tmp_path / "int8", MIN_COSINE="0.98,0.9")
    (exact,) = on_this_cpu(built(source, tmp_path / "exact", "--precision", "fp32"))
    (here,), (there,) = on_this_cpu(int8), on_haswell(tmp_path, int8)
    with_care, without, best = (cosines(each, exact["handler"]) for each in (there["handler"], there["plain"], here["handler"]))
    sys.stdout.write(f"Cosines to fp32: {with_care}, as the graph is written {without}, with VNNI {best}\n")
    assert np.abs(with_care - best).max() < 1e-4
    assert (1 - without).mean() > 2 * (1 - with_care).mean()
