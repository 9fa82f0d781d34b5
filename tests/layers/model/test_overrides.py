"""POOLING, NORMALIZE, MAX_LENGTH and TASK replace what a model's files say. A folder may also lack modules.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.embedding.manifest import Manifest
from handler.service import Options
from layers.model.overrides import Overrides
from tests.conftest import ClientOf, serve
from tests.layers.model import tiny_bert
from tests.layers.model.commands import build, built, made, make, refusal, refused

EXACT = ("--precision", "fp32")


def unlisted(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - fields of JSON files
    """Write a model without modules.json."""
    model = tiny_bert.write(folder, **changes)
    (model / "modules.json").unlink()
    return model


def test_a_folder_without_modules_is_pooled_by_mean_with_a_warning(tmp_path: Path) -> None:
    """Sentence Transformers does the same, with the tokenizer's limit. test_references.py compares the vectors."""
    done = build(unlisted(tmp_path / "tiny"), tmp_path / "model", *EXACT)
    assert "ATTENTION: modules.json is missing, so nothing says how this model pools" in done.stdout
    assert "set POOLING, NORMALIZE and MAX_LENGTH" in done.stdout
    manifest = Manifest.read(tmp_path / "model")
    assert (manifest.pooling, manifest.max_length, manifest.overrides) == ("mean", 80, {})
    assert "ATTENTION" not in build(tiny_bert.write(tmp_path / "listed"), tmp_path / "other", *EXACT).stdout


def test_a_model_made_to_generate_text_is_pooled_by_its_last_token(tmp_path: Path) -> None:
    """Versions 5 and 6 of the library do the same."""
    model = unlisted(tmp_path / "tiny", config={"architectures": ["BertForCausalLM"]})
    assert Manifest.read(made(model, tmp_path / "model")).pooling == "lasttoken"


def test_overrides_are_built_and_are_part_of_the_manifest_and_the_fingerprint(tmp_path: Path) -> None:
    """A value that equals that of the files is no override, and the model keeps its cached vectors."""
    model = tiny_bert.write(tmp_path / "tiny")
    plain = Manifest.read(made(model, tmp_path / "plain"))
    same = Manifest.read(built(model, tmp_path / "same", *EXACT, "--pooling", "mean", "--max-length", "64"))
    assert (same.overrides, same.fingerprint) == ({}, plain.fingerprint)
    out = built(model, tmp_path / "set", *EXACT, "--pooling", "cls+max", "--max-length", "9")
    found = Manifest.read(out)
    assert (found.pooling, found.dimension, found.max_length) == ("cls+max", 2 * tiny_bert.HIDDEN, 9)
    assert found.overrides == {"pooling": ["cls", "max"], "max_length": 9}
    encoding = tiny_bert.tokenizer()
    encoding.no_padding()
    tokens = tiny_bert.token_vectors(encoding.encode("abc").ids)
    (vector,) = serve(out).embed(["abc"], Options(normalize=False)).vectors
    np.testing.assert_allclose(vector, np.concatenate([tokens[0], tokens.max(axis=0)]), rtol=1e-4, atol=1e-5)
    limits = {make(model, tmp_path / f"limit-{n}", overrides=Overrides(max_length=n)).fingerprint for n in (8, 9)}
    assert len({*limits, plain.fingerprint, found.fingerprint}) == 4


@pytest.mark.parametrize(("value", "length_one"), [("true", True), ("false", False)])
def test_requests_without_normalize_follow_the_setting_of_the_build(
    value: str,
    length_one: object,
    tmp_path: Path,
    client_of: ClientOf,
) -> None:
    """A request with `normalize` gets what it says."""
    model = tiny_bert.write(tmp_path / "tiny", modules=[{"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    out = built(model, tmp_path / "model", *EXACT, "--normalize", value)
    assert Manifest.read(out).overrides == ({} if length_one is True else {"normalize": False})
    client = client_of(out)

    def length(**options: object) -> float:
        return float(np.linalg.norm(client.post({"inputs": "words"} | options).json))

    assert (length() == pytest.approx(1)) is length_one
    assert length(normalize=True) == pytest.approx(1)
    assert length(normalize=False) != pytest.approx(1)


REFUSALS = {
    "pooling": (
        ("--pooling", "average"),
        "POOLING must be cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken or several",
    ),
    "poolings": (("--pooling", "cls+cls"), "several joined by +; it is 'cls+cls'"),
    "no length": (("--max-length", "0"), "MAX_LENGTH must be a whole number of at least 1; it is 0"),
    "beyond positions": (("--max-length", "97"), "MAX_LENGTH is 97, but the model has positions for 96 tokens"),
    "onnx": (("--onnx", "a b:c"), "ONNX must be a file's path in the model or org/name:path in another repository; it is 'a b:c'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_value_that_cannot_be_set_is_refused(name: str, tmp_path: Path) -> None:
    """The sentence names the variable."""
    arguments, expected = REFUSALS[name]
    assert expected in refusal(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", *EXACT, *arguments)


def test_a_pooling_that_the_next_module_cannot_take_is_refused(tmp_path: Path) -> None:
    """Here a Dense module takes one vector, not two."""
    model = tiny_bert.write(tmp_path / "tiny", modules=[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}])
    (model / "2_Dense").mkdir()
    (model / "2_Dense/config.json").write_text(json.dumps({"in_features": tiny_bert.HIDDEN, "out_features": 8}))
    sentence = refused(model, tmp_path / "model", overrides=Overrides(pooling="cls+mean"))
    assert sentence == "2_Dense/config.json takes vectors of dimension 32, but the module before it gives 64"


def test_a_model_without_a_limit_needs_one_set(tmp_path: Path) -> None:
    """Neither the tokenizer nor the positions have a limit, as in some models with their own ONNX file."""
    changes: dict[str, Any] = {
        "config": {"model_type": "other", "max_position_embeddings": None},
        "sentence_bert_config": {"max_seq_length": None},
        "tokenizer_config": {"model_max_length": None},
    }
    model = tiny_bert.write(tmp_path / "tiny", **changes)
    (model / "onnx").mkdir()
    (model / "onnx/model.onnx").write_bytes(b"")
    sentence = refused(model, tmp_path / "model")
    assert sentence == "no configuration file says how many tokens a text may have: set MAX_LENGTH"
