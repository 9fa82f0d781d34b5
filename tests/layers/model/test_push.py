"""PUSH=s3://bucket/prefix uploads a built model, which MODEL_URI can then name. It is complete before it can be found."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from handler.bootstrap import load_service
from handler.embedding.manifest import MANIFEST, Manifest
from handler.service import Options
from tests.conftest import LocalS3, serve
from tests.faults.proxy import Exchange, FaultProxy, message, none
from tests.layers.model import tiny_bert
from tests.layers.model.commands import build, built, refusal

EXACT = ("--precision", "fp32")
NUMBERS = count()


@pytest.fixture
def proxy(s3: LocalS3) -> Iterator[FaultProxy]:
    """Serve a proxy in front of S3."""
    with FaultProxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def uri(s3: LocalS3) -> str:
    """Return an empty prefix."""
    return f"s3://{s3.bucket}/pushed/{next(NUMBERS)}"


def test_what_was_pushed_is_what_was_built(
    uri: str, s3: LocalS3, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest is uploaded last. The printed settings serve the same vectors."""
    environment = s3.environment | {"AWS_ENDPOINT_URL_S3": proxy.endpoint}
    done = build(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", *EXACT, "--push", uri, **environment)
    assert done.returncode == 0, done.stderr
    sent = [call.rpartition("/")[2] for call in proxy.calls if call.startswith("PUT ")]
    assert sorted(sent[:-1]) == sorted(Manifest.read(tmp_path / "model").files)
    assert sent[-1] == MANIFEST
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = dict(setting.split("=") for setting in done.stdout.split()[-2:])
    assert settings["MODEL_URI"] == uri
    pushed = load_service(settings | {"MODEL_TMP": str(tmp_path / "tmp")})
    here = serve(tmp_path / "model")
    assert pushed.embed(["abc"], Options()).vectors.tobytes() == here.embed(["abc"], Options()).vectors.tobytes()


def test_a_model_may_be_pushed_again_but_another_does_not_take_its_place(uri: str, s3: LocalS3, tmp_path: Path) -> None:
    """A function that starts at that time would read parts of both."""
    model = tiny_bert.write(tmp_path / "tiny")
    for _ in range(2):
        built(model, tmp_path / "model", *EXACT, "--push", uri, **s3.environment)
    other = tiny_bert.write(tmp_path / "other", pooling={"pooling_mode_mean_tokens": None, "pooling_mode_cls_token": True})
    done = build(other, tmp_path / "model", *EXACT, "--push", uri, **s3.environment)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"but not pushed: {uri} has another model: name another prefix, and delete that one when nothing is served from it\n"
    )


def test_a_push_that_breaks_off_leaves_no_manifest(uri: str, s3: LocalS3, proxy: FaultProxy, tmp_path: Path) -> None:
    """One sentence says so, and says that the model was built."""

    async def refusing_the_tokenizer(exchange: Exchange) -> None:
        if exchange.operation.startswith("PUT ") and exchange.operation.endswith("/tokenizer.json"):
            await exchange.send(message(403, b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"))
        else:
            await none(exchange)

    proxy.fault = refusing_the_tokenizer
    environment = s3.environment | {"AWS_ENDPOINT_URL_S3": proxy.endpoint}
    done = build(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", *EXACT, "--push", uri, **environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Built in {tmp_path / 'model'}, but not pushed: {uri} cannot be written: ")
    assert "AccessDenied" in line
    listed = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix=uri.removeprefix(f"s3://{s3.bucket}/"))
    assert listed["KeyCount"] > 0
    assert not any(entry["Key"].endswith(MANIFEST) for entry in listed["Contents"])


def test_a_bucket_that_does_not_exist_is_reported(s3: LocalS3, tmp_path: Path) -> None:
    """The sentence names the variable and its value."""
    done = build(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", *EXACT, "--push", "s3://nowhere/model", **s3.environment)
    assert done.returncode == 1
    assert "but not pushed: s3://nowhere/model cannot be written: " in done.stderr
    assert "NoSuchBucket" in done.stderr


def test_what_is_no_place_in_s3_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    """The sentence says that it must be a bucket and a prefix."""
    sentence = refusal(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", *EXACT, "--push", "bucket/model")
    assert sentence == "PUSH must be s3://bucket/prefix; it is 'bucket/model'"
