"""Fixtures for the tests of the built functions."""

import shutil
from importlib.metadata import files
from pathlib import Path

import pytest


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
