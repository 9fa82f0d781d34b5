"""Models that are too large for a layer are built, uploaded, downloaded and served. `make large` runs this and prints the table.

They have the shapes of real models and random weights, and are as slow as these. It takes an hour or so and 8 GB of memory;
`LARGE=gte-large` takes one of them.
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
from layers.model.s3 import push
from tests.conftest import ROOT, LocalS3
from tests.large import build, measure, table
from tests.large.model import MODELS, LargeModel

if not os.environ.get("RUN_LARGE"):
    pytest.skip("large models are tested by `make large`", allow_module_level=True)

FOLDER = ROOT / "build/large"
NAMES = os.environ.get("LARGE", "").split() or list(MODELS)
MOST = 3
"""The most memory that building may take, in sizes of the float32 weights."""


def outdated(folder: Path) -> bool:
    """Return whether a model is missing or older than the builder."""
    manifest = folder / "model/manifest.json"
    builder = max(file.stat().st_mtime for file in (ROOT / "layers/model").rglob("*.py"))
    return not manifest.exists() or not (folder / "built.json").exists() or manifest.stat().st_mtime < builder


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> LargeModel:
    """Return one of the models, and build it if it is outdated."""
    model, folder = MODELS[request.param], FOLDER / request.param
    if outdated(folder):
        model.write(folder / "source", ROOT / "build/sources")
        command = [sys.executable, "-m", build.__name__, model.name, str(folder / "source"), str(folder / "model")]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=7200)
        (folder / "built.json").write_bytes(done.stdout)
    return model


@pytest.fixture(scope="module", autouse=True)
def _moto_reads_an_object_once() -> Iterator[None]:
    """Make moto read an object once. It reads the whole object for each part, which would be tens of gigabytes for these models."""
    value = vars(FakeKey)["value"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeKey, "value", property(cache(value.fget), value.fset))
        yield


@pytest.fixture(scope="module")
def environment(model: LargeModel, s3: LocalS3, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a function that finds the model in S3, on one vCPU."""
    uri = f"s3://{s3.bucket}/{model.name}"
    manifest = Manifest.read(FOLDER / model.name / "model")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in s3.environment.items():
            patched.setenv(name, value)
        push(FOLDER / model.name / "model", manifest, uri, print)
    place = {"MODEL_URI": uri, "MODEL_SHA256": manifest.digest, "MODEL_TMP": str(tmp_path_factory.mktemp("tmp"))}
    return dict(os.environ) | s3.environment | place | {"MODEL_DIR": "/nowhere", "THREADS": "1"}


def measured(environment: dict[str, str]) -> dict[str, Any]:
    """Return the figures of measure.py."""
    command = [sys.executable, "-m", measure.__name__]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=900)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_it_is_built_fetched_and_served_within_its_memory(model: LargeModel, environment: dict[str, str]) -> None:
    """Building takes at most 3 times the float32 weights, and a start 1.4 times the int8 model. The table has all other figures."""
    size = sum(path.stat().st_size for path in (FOLDER / model.name / "model").iterdir())
    built = json.loads((FOLDER / model.name / "built.json").read_text())
    fetched, kept = measured(environment), measured(environment)
    (FOLDER / "table.txt").write_text(table.record(model, size, built, fetched, kept) + "\n")
    assert size > table.LAYER_BYTES
    assert built["bytes"] <= MOST * model.weight_bytes()
    assert fetched["bytes_loaded"] <= 1.4 * size


def test_it_is_served_under_the_emulator(model: LargeModel, environment: dict[str, str]) -> None:
    """The vectors have the model's dimension."""
    with Emulator(env=environment, timeout_seconds=300) as function:
        reply = json.loads(function.invoke(json.dumps({"inputs": "How is the weather?"}).encode(), timeout=300))
    assert [len(vector) for vector in reply] == [model.config["hidden_size"]]
