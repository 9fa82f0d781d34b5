"""A pickle of 2.3 GB, of bge-m3's shape, becomes an int8 model within the memory that a laptop has: `make pickled` runs it."""

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
"""The most memory, in sizes of the checkpoint."""


def test_a_large_pickle_is_built_in_three_times_its_size() -> None:
    """The peak of the whole process; the table tells how long it took."""
    source = FOLDER / "source"
    checkpoint = BGE_M3.write(source, ROOT / "build/sources")
    size = checkpoint.stat().st_size
    shutil.rmtree(FOLDER / "model", ignore_errors=True)
    command = [sys.executable, "-m", build.__name__, BGE_M3.name, str(source), str(FOLDER / "model")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=7200)
    told = json.loads(done.stdout)
    table = (
        f"{size / 1e9:.2f} GB built in {told['seconds']:.0f} s ({told['cpu_seconds']:.0f} s of CPU time), "
        f"{told['bytes'] / 1e9:.2f} GB at the peak, {told['bytes'] / size:.2f} times the checkpoint\n"
    )
    (FOLDER / "table.txt").write_text(table)
    assert Manifest.read(FOLDER / "model").sources.keys() >= {checkpoint.name}
    assert told["bytes"] <= MOST * size, table
