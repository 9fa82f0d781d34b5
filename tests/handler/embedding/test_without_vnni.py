"""Int8 on an x86 CPU without VNNI, emulated by QEMU: `make without-vnni`."""

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
"""What the host may have and the emulated CPU has not."""


def run(*command: str | Path) -> dict[str, Any]:
    """What emulated.py prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def on_this_cpu(*models: Path) -> list[dict[str, list[list[float]]]]:
    """Each model's vectors."""
    return list(run(sys.executable, emulated.__file__, *models)["models"])


def on_haswell(folder: Path, *models: Path) -> list[dict[str, list[list[float]]]]:
    """Each model's vectors; under -L files are looked for before the host's."""
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    assert qemu
    told = folder / "haswell/proc/cpuinfo"
    told.parent.mkdir(parents=True)
    told.write_text(LACKING.sub("", Path("/proc/cpuinfo").read_text()))
    found = run(qemu, "-cpu", "Haswell", "-L", folder / "haswell", sys.executable, emulated.__file__, *models)
    assert saturates(found["kernels"])
    return list(found["models"])


def cosines(vectors: list[list[float]], reference: list[list[float]]) -> np.ndarray:
    """Of each text."""
    one, other = (np.array(each) / np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors, reference))
    found: np.ndarray = (one * other).sum(axis=1)
    return found


def test_the_default_model_gives_the_bits_that_it_gives_here(tmp_path: Path) -> None:
    """Its operators are its own, and compute the same everywhere."""
    (here,), (there,) = on_this_cpu(INT8), on_haswell(tmp_path, INT8)
    assert there == here
    assert here["handler"] == here["plain"]


def test_weights_are_made_unsigned_where_signed_ones_saturate(tmp_path: Path) -> None:
    """Of a model made from its own ONNX file: the handler's vectors are as close to float32's as here, those as written are not."""
    source = references.write("qwen-onnx", tmp_path / "source")
    int8 = built(source, tmp_path / "int8", MIN_COSINE="0.98,0.9")
    (exact,) = on_this_cpu(built(source, tmp_path / "exact", "--precision", "fp32"))
    (here,), (there,) = on_this_cpu(int8), on_haswell(tmp_path, int8)
    with_care, without, best = (cosines(each, exact["handler"]) for each in (there["handler"], there["plain"], here["handler"]))
    sys.stdout.write(f"Cosines to fp32: {with_care}, as the graph is written {without}, with VNNI {best}\n")
    assert np.abs(with_care - best).max() < 1e-4
    assert (1 - without).mean() > 2 * (1 - with_care).mean()
