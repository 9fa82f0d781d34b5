"""A model in S3 that is not the one of its manifest, or that a setting does not allow, is refused with one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handler.embedding.manifest import Manifest
from handler.service import Service
from tests.conftest import INT8, LocalS3, serve
from tests.handler.model_store.stored import WEIGHTS, Refusal, file_names, vector

type Damage = Callable[[LocalS3, str], object]


def replaced(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Return a damage that uploads changed content in place of a file."""
    return lambda s3, prefix: s3.client().put_object(
        Bucket=s3.bucket, Key=f"{prefix}/{name}", Body=change((INT8 / name).read_bytes())
    )


def without(name: str) -> Damage:
    """Return a damage that deletes a file."""
    return lambda s3, prefix: s3.client().delete_object(Bucket=s3.bucket, Key=f"{prefix}/{name}")


def naming(name: str) -> Callable[[bytes], bytes]:
    """Return a change that adds a file to a manifest."""

    def change(content: bytes) -> bytes:
        manifest = json.loads(content)
        return json.dumps(manifest | {"files": manifest["files"] | {name: "0" * 64}}).encode()

    return change


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no manifest": (without("manifest.json"), "The file manifest.json in MODEL_URI is missing"),
    "no weights": (without(WEIGHTS), f"The file {WEIGHTS} in MODEL_URI is missing"),
    "half of the weights": (
        replaced(WEIGHTS, lambda content: content[: len(content) // 2]),
        f"The file {WEIGHTS} in MODEL_URI is damaged, truncated or another model's: it has ",
    ),
    "one bit": (
        replaced(WEIGHTS, lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        f"The file {WEIGHTS} in MODEL_URI is damaged, truncated or another model's: it has ",
    ),
    "an empty tokenizer": (replaced("tokenizer.json", lambda _: b""), "The file tokenizer.json in MODEL_URI is empty"),
    "no JSON": (replaced("manifest.json", lambda _: b"\xff"), "manifest.json in MODEL_URI is not a model manifest"),
    "a path out of the folder": (
        replaced("manifest.json", naming("../../authorized_keys")),
        "manifest.json in MODEL_URI has no usable files",
    ),
    "a file nobody has": (replaced("manifest.json", naming("more")), "The file more in MODEL_URI is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_model_that_is_not_the_one_of_its_manifest_is_refused(
    name: str, started: Callable[..., Service], s3: LocalS3, prefix: str, tmp_path: Path, refusal: Refusal
) -> None:
    """The log has one sentence, and /tmp has only complete files."""
    damage, sentence = DAMAGES[name]
    damage(s3, prefix)
    assert refusal(started()).startswith(sentence)
    assert file_names(tmp_path) <= Manifest.read(INT8).files.keys()


DIGEST = Manifest.read(INT8).digest
OTHER_DIGEST = "0" * 64
UNEXPECTED = (
    f"manifest.json has the sha256 {DIGEST}, but MODEL_SHA256 (in a deployed stack, the parameter ModelSha256) is {OTHER_DIGEST}. "
    f"Set it to {DIGEST} to serve this model"
)
SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "another manifest": ({"MODEL_SHA256": OTHER_DIGEST}, UNEXPECTED),
    "no digest": ({"MODEL_SHA256": "latest"}, "MODEL_SHA256 must be 64 hexadecimal digits; it is 'latest'"),
    "no bucket": ({"MODEL_URI": "s3://nowhere/model"}, "The file manifest.json in MODEL_URI is missing: there is no such bucket"),
    "no prefix": ({"MODEL_URI": "s3://models"}, "MODEL_URI must be s3://bucket/prefix; it is 's3://models'"),
    "a path out of the folder": (
        {"MODEL_URI": "s3://models/../../x"},
        "MODEL_URI must be s3://bucket/prefix; it is 's3://models/../../x'",
    ),
    "no folder": ({"MODEL_TMP": "/dev/null"}, "The model cannot be written to /dev/null: Not a directory"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_invalid_setting_is_refused(name: str, started: Callable[..., Service], refusal: Refusal) -> None:
    """The sentence has its name and value. No weights are fetched."""
    settings, sentence = SETTINGS[name]
    assert refusal(started(**settings)) == sentence


def test_the_digest_of_the_manifest_is_checked_for_a_model_in_a_layer_too(refusal: Refusal) -> None:
    """Only the model with this digest is served."""
    assert vector(serve(INT8, MODEL_SHA256=DIGEST))
    assert refusal(serve(INT8, MODEL_SHA256=OTHER_DIGEST)) == UNEXPECTED


def test_a_full_tmp_is_reported(
    started: Callable[..., Service], s3: LocalS3, prefix: str, tmp_path: Path, refusal: Refusal
) -> None:
    """The file is written to a device that is always full."""
    folder = tmp_path / "tmp" / s3.bucket / prefix
    folder.mkdir(parents=True)
    (folder / f"{WEIGHTS}.part").symlink_to("/dev/full")
    free = shutil.disk_usage(tmp_path).free // 1_000_000
    sentence = refusal(started())
    assert sentence.startswith(f"There is no space for the model in {tmp_path / 'tmp'}: ")
    assert abs(int(sentence.split()[-4]) - free) < 10_000  # other processes write there too
    assert WEIGHTS not in file_names(tmp_path)
