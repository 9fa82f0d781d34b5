"""The number of much used models that the builder takes is the builder's own decision, and the pages say the same number."""

import json
from pathlib import Path
from typing import Any

import pytest

from layers.model.configuration import Unsupported
from layers.model.preview import Preview
from tests.documents import DOCUMENTS
from tests.layers.model import coverage, references, tiny_bert
from tests.layers.model.commands import make, refused

CONTENT = json.loads(coverage.MODELS.read_text(encoding="utf-8"))


def written(name: str, folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - fields of a row
    """Write the folder of one of the models, with some of its row's fields changed."""
    (model,) = (model for model in CONTENT["models"] if model["name"] == name)
    config = CONTENT["families"][model["family"]] | model.get("config", {}) | changes.pop("config", {})
    return coverage.write(folder / name, config, model | changes)


def test_the_pages_have_the_sentence_that_make_coverage_prints() -> None:
    """The builder's own page has it; any other that begins the sentence has the same numbers."""
    found = {str(document.path): coverage.SENTENCE.findall(document.text) for document in DOCUMENTS}
    assert found["layers/model/README.md"]
    assert {" ".join(said.split()) for sentences in found.values() for said in sentences} == {coverage.sentence()}


def test_the_decisions_are_on_different_models() -> None:
    """Each is taken by a way, or refused by a sentence that names no folder of the machine that asked."""
    found = coverage.decisions()
    assert len({decision.model for decision in found}) == len(CONTENT["models"])
    assert all((decision.taken is None) == bool(decision.refusal) for decision in found)
    assert not [decision for decision in found if "/tmp" in str(decision)]  # noqa: S108 - looked for, not used


def test_a_model_without_an_onnx_file_is_refused_where_its_family_is_not_written(tmp_path: Path) -> None:
    """The decision depends on the names of the files."""
    name = "nomic-ai/nomic-embed-text-v2-moe"
    exported = written(name, tmp_path / "exported", files=["model.safetensors", "onnx/model.onnx"])
    assert Preview.read(exported).made_from == "its own ONNX file"
    with pytest.raises(Unsupported, match=r"onnx/model\.onnx is missing in .*: config\.json says moe_normalize_expert_weights is"):
        Preview.read(written(name, tmp_path / "as it is"))


def test_a_field_that_nobody_knows_changes_the_way_of_a_model(tmp_path: Path) -> None:
    """The decision depends on the fields of config.json, as the builder's does."""
    name = "sentence-transformers/all-MiniLM-L6-v2"
    assert Preview.read(written(name, tmp_path / "as it is")).made_from == "its weights"
    changed = Preview.read(written(name, tmp_path / "changed", config={"position_embedding_type": "relative_key"}))
    assert changed.made_from == "its own ONNX file"
    assert changed.reason is not None
    assert changed.reason.startswith("config.json says position_embedding_type is 'relative_key'")


@pytest.mark.parametrize("name", references.NAMES)
def test_a_model_that_is_built_was_taken_with_empty_weights(name: str, tmp_path: Path) -> None:
    """Every reference model: the decision needs none of its numbers."""
    folder = references.write(name, tmp_path / name)
    for path in folder.rglob("*"):
        if path.suffix in {".safetensors", ".bin", ".onnx"} or path.name == "tokenizer.json":
            path.write_bytes(b"")
    decided = Preview.read(folder)
    ways = {"its own ONNX file": list(folder.rglob("*.onnx")), "its table of vectors": name.startswith(("static", "model2vec"))}
    assert decided.made_from == next((way for way, is_taken in ways.items() if is_taken), "its weights")


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json", "1_Pooling/config.json"])
def test_the_sentence_of_a_refusal_is_the_one_that_building_gives(missing: str, tmp_path: Path) -> None:
    """A file that is not there, in a model that would be built with it."""
    model = tiny_bert.write(tmp_path / "tiny")
    make(model, tmp_path / "built")
    (model / missing).unlink()
    with pytest.raises(Unsupported) as caught:
        Preview.read(model)
    assert str(caught.value) == refused(model, tmp_path / "model")
