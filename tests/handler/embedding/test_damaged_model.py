"""A model that is missing, foreign or damaged is logged with one sentence at start, and refused to every caller."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handler.functions.api import make_handler
from tests.conftest import INT8, Client, serve

Damage = Callable[[Path], object]


def changed(**fields: object) -> Damage:
    """Return a damage that changes fields of the manifest."""

    def damage(folder: Path) -> None:
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | fields))

    return damage


def without(field: str) -> Damage:
    """Return a damage that removes a field of the manifest."""

    def damage(folder: Path) -> None:
        manifest = folder / "manifest.json"
        content = json.loads(manifest.read_text())
        del content[field]
        manifest.write_text(json.dumps(content))

    return damage


def a_folder_for_the_manifest(folder: Path) -> None:
    """Replace the manifest by a folder."""
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()


def foreign(name: str) -> Damage:
    """Return a damage that replaces a file by an empty JSON object, with its correct sha256 in the manifest."""

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(b"{}")
        files = json.loads((folder / "manifest.json").read_text())["files"]
        changed(files=files | {name: hashlib.sha256(b"{}").hexdigest()})(folder)

    return damage


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no folder": (shutil.rmtree, "The model file manifest.json is missing in"),
    "no weights": (lambda folder: (folder / "model.onnx.data").unlink(), "The model file model.onnx.data is missing in"),
    "truncated weights": (lambda folder: (folder / "model.onnx.data").write_bytes(b"short"), "model.onnx.data in .* is damaged"),
    "changed tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json in .* is damaged"),
    "foreign tokenizer": (foreign("tokenizer.json"), "tokenizer.json in .* is not a tokenizer"),
    "foreign graph": (foreign("model.onnx"), "model.onnx in .* cannot be loaded"),
    "not a manifest": (lambda folder: (folder / "manifest.json").write_text("[]"), "is not a model manifest"),
    "not JSON": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff"), "is not a model manifest"),
    "a folder for a manifest": (
        a_folder_for_the_manifest,
        "manifest.json in .* cannot be read: Is a directory",
    ),
    "older format": (changed(format=3), "has format 3, this version reads format 4: update the handler or build the model again"),
    "newer format": (changed(format=5), "has format 5, this version reads format 4"),
    "missing field": (without("pooling"), "lacks pooling"),
    "no files": (changed(files=None), "has no usable files"),
    "unnamed files": (changed(files={}), "has no usable files"),
    "numbers for digests": (changed(files={"model.onnx": 5}), "has no usable files"),
    "a text for a number": (changed(max_length="256"), "has no usable max_length"),
    "an unknown encoder": (changed(encoder="table"), "has no usable encoder"),
    "the files of another encoder": (changed(encoder="static"), "has no usable files"),
    "an unknown codec": (changed(codec="scaled8"), "has no usable codec"),
    "an unknown optimization level": (changed(loading={"optimization": "all", "entries": {}}), "has no usable loading"),
    "a session entry that is a number": (changed(loading={"optimization": "none", "entries": {"a": 1}}), "has no usable loading"),
    "a field of the loading that is missing": (changed(loading={"optimization": "none"}), "has no usable loading"),
    "a prompt that is none": (changed(prompts={"query": None}), "has no usable prompts"),
    "ranges that are none": (changed(ranges={"384": "AAAA"}), "no usable ranges for '384' dimensions"),
    "ranges of more dimensions": (changed(ranges={"768": ""}), "no usable ranges for '768' dimensions"),
    "wrong dimension": (changed(dimension=768), "gives vectors of dimension 384, its manifest says 768"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_is_logged_at_start_and_refused_to_every_caller(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every route returns 424 with the id of the log line, and without the reason. Neither contains a stack trace."""
    folder = tmp_path / "model"
    shutil.copytree(INT8, folder)
    damage, sentence = DAMAGES[name]
    damage(folder)

    client = Client(make_handler(serve(folder), None))
    (line,) = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    replies = [client.post({"inputs": "a"}), client.get("/info"), client.get("/health")]

    assert logged["event"] == "model_not_loaded"
    for reply in replies:
        assert reply.status == 424
        sentence_sent = f"The model cannot be served; the reason is in the log under {logged['incident']}"
        assert reply.json == {"error": sentence_sent, "error_type": "Backend"}
    assert re.search(sentence, logged["reason"]), logged["reason"]
