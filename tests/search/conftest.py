"""Fixtures of the search: an AWS whose S3 Vectors answers queries, and indexes in it."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from events.aws import LocalAWS
from tests.conftest import INT8
from tests.search.indexes import LocalIndex, create_index
from tests.search.vectors_front import VectorsFront


@pytest.fixture
def front(aws_server: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[VectorsFront]:
    """Provide an AWS whose S3 Vectors answers queries, and let this test's clients find it."""
    with VectorsFront(aws_server) as front:
        for name, value in front.environment.items():
            monkeypatch.setenv(name, value)
        yield front


type MakeIndex = Callable[..., LocalIndex]
"""Makes an empty index; its arguments are those of create_index without the first."""


@pytest.fixture
def make_index(front: VectorsFront) -> MakeIndex:
    """Provide a function that makes an empty index."""
    return partial(create_index, front)


type FolderOf = Callable[..., Path]
"""Makes a folder with the default model and some changes of its manifest."""


@pytest.fixture
def folder_of(tmp_path: Path) -> FolderOf:
    """Provide a function that makes a folder with the default model and some changes of its manifest."""

    def make(**changes: object) -> Path:
        manifest = json.loads((INT8 / "manifest.json").read_text())
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        for name in manifest["files"]:
            (folder / name).symlink_to(INT8 / name)
        (folder / "manifest.json").write_text(json.dumps(manifest | changes))
        return folder

    return make
