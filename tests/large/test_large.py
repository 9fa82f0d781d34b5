"""A model that is too large for a layer is built, uploaded, downloaded and served. `make large` runs this and prints the table.

It takes some minutes and 5 GB of memory: the model has gte-large's shape and random weights, and is as slow as the real one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import FakeKey

from events.emulator import Emulator
from handler.embedding.manifest import Manifest
from layers.model.builder import Order, build
from layers.model.s3 import push
from layers.model.sources import Source
from tests.conftest import ROOT, LocalS3
from tests.large import measure
from tests.large.model import GTE_LARGE

if not os.environ.get("RUN_LARGE"):
    pytest.skip("the large model is tested by `make large`", allow_module_level=True)

FOLDER = ROOT / "build/large"
ZIP_LIMIT = 250 * 2**20
"""Lambda's limit for the function and its layers together, unzipped."""
RUNTIME = 110e6


@pytest.fixture(scope="module")
def built() -> Path:
    """Return the model's folder. The model is built if it is missing or older than the builder."""
    manifest = FOLDER / "model/manifest.json"
    builder = max(file.stat().st_mtime for file in (ROOT / "layers/model").glob("*.py"))
    if not manifest.exists() or manifest.stat().st_mtime < builder:
        GTE_LARGE.write(FOLDER / "source", ROOT / "build/sources")
        source = Source(FOLDER / "source", GTE_LARGE.name, "random")
        build(Order(source, FOLDER / "model", "int8", None, 2, GTE_LARGE.passages), print)
    return FOLDER / "model"


@pytest.fixture(scope="module", autouse=True)
def _moto_reads_an_object_once() -> Iterator[None]:
    """Make moto read an object once. It reads the whole object for each part, which would be 29 GB for this model."""
    value = vars(FakeKey)["value"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeKey, "value", property(cache(value.fget), value.fset))
        yield


@pytest.fixture(scope="module")
def environment(built: Path, s3: LocalS3, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a function that finds the model in S3, on one vCPU."""
    uri = f"s3://{s3.bucket}/large"
    manifest = Manifest.read(built)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in s3.environment.items():
            patched.setenv(name, value)
        push(built, manifest, uri, print)
    place = {"MODEL_URI": uri, "MODEL_SHA256": manifest.digest, "MODEL_TMP": str(tmp_path_factory.mktemp("tmp"))}
    return dict(os.environ) | s3.environment | place | {"MODEL_DIR": "/nowhere", "THREADS": "1"}


def measured(environment: dict[str, str]) -> dict[str, Any]:
    """Return the figures of measure.py."""
    command = [sys.executable, "-m", measure.__name__]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=900)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_it_outgrows_a_layer_and_is_fetched_and_served_within_its_memory(built: Path, environment: dict[str, str]) -> None:
    """The peak is 1.4 times its size at most, with the process itself and the download. The table has all other figures."""
    size = sum(path.stat().st_size for path in built.iterdir())
    assert size > ZIP_LIMIT - RUNTIME
    fetched, kept = measured(environment), measured(environment)
    rows = {
        "size": f"{size / 1e6:.0f} MB",
        "start, fetched from moto's server": f"{fetched['seconds']:.1f} s, {fetched['cpu_seconds']:.1f} s of CPU time",
        "start, found whole in /tmp": f"{kept['seconds']:.1f} s, {kept['cpu_seconds']:.1f} s of CPU time",
        "peak memory, ready": f"{fetched['bytes_loaded'] / 1e6:.0f} MB, {fetched['bytes_loaded'] / size:.2f} times the size",
        "peak memory, after texts": f"{fetched['bytes'] / 1e6:.0f} MB, {fetched['bytes'] / size:.2f} times the size",
        **{f"{length} tokens": f"{kept[f'milliseconds_{length}']:.0f} ms" for length in measure.LENGTHS},
    }
    table = "".join(f"{name:<34}  {figure}\n" for name, figure in rows.items())
    (FOLDER / "table.txt").write_text(table)
    assert fetched["bytes_loaded"] <= 1.4 * size, table


def test_it_is_served_under_the_emulator(environment: dict[str, str]) -> None:
    """The vectors have gte-large's dimension."""
    with Emulator(env=environment, timeout_seconds=300) as function:
        reply = json.loads(function.invoke(json.dumps({"inputs": "How is the weather?"}).encode(), timeout=300))
    assert [len(vector) for vector in reply] == [1024]
