"""Fixtures for the tests of the built functions."""

import shutil
from importlib.metadata import files
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.infra.commands import run


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
def artefact() -> Path:
    """Build what `sam deploy` uploads."""
    run("make", "build")
    return ROOT / "build/lambda/app"


@pytest.fixture(scope="session")
def opt(artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put both layers into one folder, as Lambda does with /opt."""
    opt = tmp_path_factory.mktemp("opt")
    (opt / "python").symlink_to(artefact / "RuntimeLayer/python")
    (opt / "model").symlink_to(artefact / "ModelLayer/model")
    return opt
