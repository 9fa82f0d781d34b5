"""A pickle of 2.3 GB with bge-m3's shape becomes an int8 model within a laptop's memory. `make pickled` runs this."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from handler.embedding.manifest import Manifest
from tests.conftest import ROOT
from tests.large import build
from tests.large.model import BGE_M3

if not os.environ.get("RUN_PICKLED"):
    pytest.skip("the large pickle is built by `make pickled`", allow_module_level=True)

FOLDER = ROOT / "build/pickled"
MOST = 3
"""The largest allowed memory, in sizes of the checkpoint."""


def test_a_large_pickle_is_built_in_three_times_its_size() -> None:
    """That is the peak of the whole process. The table has the time."""
    source = FOLDER / "source"
    checkpoint = BGE_M3.write(source, ROOT / "build/sources")
    size = checkpoint.stat().st_size
    shutil.rmtree(FOLDER / "model", ignore_errors=True)
    command = [sys.executable, "-m", build.__name__, BGE_M3.name, str(source), str(FOLDER / "model")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=7200)
    figures = json.loads(done.stdout)
    table = (
        f"{size / 1e9:.2f} GB built in {figures['seconds']:.0f} s ({figures['cpu_seconds']:.0f} s of CPU time), "
        f"{figures['bytes'] / 1e9:.2f} GB at the peak, {figures['bytes'] / size:.2f} times the checkpoint\n"
    )
    (FOLDER / "table.txt").write_text(table)
    assert Manifest.read(FOLDER / "model").sources.keys() >= {checkpoint.name}
    assert figures["bytes"] <= MOST * size, table
