"""Fixtures of the tests of a model in S3, which AWS's library reaches through a proxy."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from handler.bootstrap import load_service
from handler.embedding.manifest import Manifest
from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import INT8, Client, LocalS3
from tests.faults.proxy import FaultProxy
from tests.handler.model_store.stored import Refusal

PREFIXES = count()


@pytest.fixture(scope="module")
def proxy(s3: LocalS3) -> Iterator[FaultProxy]:
    """Start a proxy in front of S3."""
    with FaultProxy(s3.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def uploaded(s3: LocalS3) -> str:
    """Upload the default model once for all tests; the value is its prefix."""
    s3.upload(INT8, "all-MiniLM-L6-v2")
    return "all-MiniLM-L6-v2"


@pytest.fixture
def prefix(s3: LocalS3, uploaded: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copy the default model to a prefix for one test. AWS's library reaches S3 through the proxy."""
    for name, value in {**s3.environment, "AWS_ENDPOINT_URL_S3": proxy.endpoint}.items():
        monkeypatch.setenv(name, value)
    prefix = f"{uploaded}/{next(PREFIXES)}"
    for name in ("manifest.json", *Manifest.read(INT8).files):
        s3.client().copy_object(Bucket=s3.bucket, Key=f"{prefix}/{name}", CopySource=f"{s3.bucket}/{uploaded}/{name}")
    proxy.calls.clear()
    return prefix


@pytest.fixture
def started(prefix: str, s3: LocalS3, tmp_path: Path) -> Callable[..., Service]:
    """Return a function that starts an environment with the model in S3; its arguments are further settings."""
    uri = {"MODEL_URI": f"s3://{s3.bucket}/{prefix}", "MODEL_TMP": str(tmp_path / "tmp")}
    return lambda **settings: load_service(uri | settings)


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Return a function that checks the refusals of a service without a model, and returns the reason from the log."""

    def refusal(service: Service) -> str:
        client = Client(make_handler(service, None))
        replies = [client.post({"inputs": "a"}), client.get("/info"), client.get("/health")]
        assert {reply.status for reply in replies} == {424}
        (sentence,) = {reply.json["error"] for reply in replies}
        general, _, incident = sentence.rpartition(" ")
        assert general == "The model cannot be served; the reason is in the log under"
        logged = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        (reason,) = [line["reason"] for line in logged if line.get("incident") == incident]
        return str(reason)

    return refusal
