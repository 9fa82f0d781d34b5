"""Fixtures for the tests of the template and of the built functions."""

import fcntl
import os
import shutil
from importlib.metadata import files
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import ROOT
from tests.infra.commands import run
from tests.infra.transformed import Template, transformed


@pytest.fixture(scope="session")
def template() -> Template:
    """Return the template with a canary, which adds resources; all others are there under conditions."""
    return transformed(Canary="true")


@pytest.fixture(scope="session")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy Lambda's runtime client into a folder of its own, so that the function can import nothing else from here."""
    folder = tmp_path_factory.mktemp("runtime_client")
    for distribution in ("awslambdaric", "simplejson", "snapshot-restore-py"):
        for path in files(distribution) or []:
            if ".." not in path.parts:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(path.locate()), folder / path)
    return folder


@pytest.fixture(scope="session")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what `sam deploy` uploads: once for all workers of a test run, because they share the folder."""
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    built = tmp_path_factory.getbasetemp().parent / f"built-{run_id}"
    with built.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            run("make", "build")
            built.touch()
    return ROOT / "build/lambda/app"


@pytest.fixture(scope="session")
def opt(artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put both layers into one folder, as Lambda does with /opt."""
    opt = tmp_path_factory.mktemp("opt")
    (opt / "python").symlink_to(artefact / "RuntimeLayer/python")
    (opt / "model").symlink_to(artefact / "ModelLayer/model")
    return opt
