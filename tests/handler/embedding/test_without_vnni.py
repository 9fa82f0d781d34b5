"""Int8 on an x86 CPU without VNNI, emulated by QEMU: `make without-vnni`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handler.embedding.cpu import saturates
from tests.conftest import FP32, INT8, ROOT
from tests.handler.embedding import emulated

pytestmark = pytest.mark.skipif("RUN_EMULATED" not in os.environ, reason="`make without-vnni` emulates the CPU")
LACKING = re.compile(r" (avx512\w*|avx_vnni|amx\w*)")
"""What the host may have and the emulated CPU has not."""


def cosines(vectors: list[list[float]], reference: list[list[float]]) -> np.ndarray:
    """Of each text."""
    one, other = (np.array(each) / np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors, reference))
    found: np.ndarray = (one * other).sum(axis=1)
    return found


def test_weights_are_made_unsigned_where_signed_ones_saturate(tmp_path: Path) -> None:
    """There the handler's vectors are as close to float32's as on a CPU with VNNI; those of the graph as written are not."""
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    assert qemu
    told = tmp_path / "proc/cpuinfo"
    told.parent.mkdir()
    told.write_text(LACKING.sub("", Path("/proc/cpuinfo").read_text()))

    def run(model: Path, *command: str) -> dict[str, list[list[float]]]:
        line = [*command, sys.executable, emulated.__file__, str(model)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stderr[-2000:]
        return dict(json.loads(done.stdout))

    exact = run(FP32)["handler"]
    found = run(INT8, qemu, "-cpu", "Haswell", "-L", str(tmp_path))  # under -L files are looked for before the host's
    assert saturates(str(found["kernels"]))
    with_care, without = cosines(found["handler"], exact), cosines(found["plain"], exact)
    sys.stdout.write(f"cosine to fp32 on {found['kernels']}: {with_care.min():.5f}, as the graph is written {without.min():.5f}\n")
    assert with_care.min() > 0.998
    assert (1 - without).mean() > 2 * (1 - with_care).mean()
