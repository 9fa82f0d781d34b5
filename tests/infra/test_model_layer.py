"""The model's layer has what the manifests name: the model, and the reranker where there is one."""

import subprocess
from pathlib import Path

import pytest

from handler.config import RERANKER_FOLDER
from handler.embedding.manifest import Manifest
from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.conftest import INT8, ROOT
from tests.layers.model import references


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a tiny cross-encoder, and put a stray file next to it."""
    folder = tmp_path_factory.mktemp("reranker")
    source = Source(references.write("roberta", folder / "source", references.RERANKERS), "tiny", "1")
    build(Order(source, folder / "model", "int8", (0, -1), threads=1, passages=20), lambda _: None)
    (folder / "model/notes.txt").write_text("not a part of the model")
    return folder / "model"


@pytest.mark.parametrize("with_reranker", [True, False])
def test_the_layer_has_the_files_that_the_manifests_name(with_reranker: bool, reranker: Path, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Lambda unpacks the layer in /opt, where the handler looks for the reranker. A stray file is not shipped."""
    model, layer = tmp_path / "model", tmp_path / "layer"
    model.symlink_to(INT8)
    variables = {"ARTIFACTS_DIR": layer, "MODEL_DIR": model, "RERANKER_DIR": reranker if with_reranker else ""}
    command = [
        "make",
        "-s",
        "-f",
        "layers/model/Makefile",
        "build-ModelLayer",
        *(f"{name}={value}" for name, value in variables.items()),
    ]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {"model": INT8} | ({Path(RERANKER_FOLDER).name: reranker} if with_reranker else {})
    expected = {f"{name}/{file}" for name, folder in folders.items() for file in ("manifest.json", *Manifest.read(folder).files)}
    found = [path for path in layer.rglob("*") if path.is_file()]
    assert {str(path.relative_to(layer)) for path in found} == expected
    assert printed == f"Model layer: {sum(path.stat().st_size for path in found) // 100_000 / 10} MB\n"
