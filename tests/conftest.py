"""Fixtures for all tests: services with the real models, AWS's services on this machine, and a client of the Lambda handler."""

import gc
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer

from events import http_api
from events.aws import LocalAWS
from events.dynamodb import LocalDynamoDB
from handler.bootstrap import Handler, load_service
from handler.functions.api import make_handler
from handler.service import Service
from tests.secrecy import leaks, say, strings

settings.register_profile("any machine", deadline=None)  # no deadline for one example, because the machine may be busy
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parents[1]
INT8, FP32 = ROOT / "build/model", ROOT / "build/model-fp32"


@dataclass(frozen=True)
class Reply:
    """A response as the client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> tuple[int, str, str]:
        """The status, type and sentence of an error response. It may have no other fields."""
        content = self.json
        assert content.keys() == {"error", "error_type"}, content
        assert self.headers["content-type"] == "application/json"
        return self.status, content["error_type"], content["error"]

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


class Client:
    """Calls a Lambda handler with events of API Gateway."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
        say(*_texts(body), *(headers.get(name, "") for name in ("authorization", "api_key", "x_api_key")))
        request = http_api.Request(method, path, "", sent, body, "127.0.0.1", 443)
        return self.reply(http_api.make_event(request, received=datetime.now(UTC), request_id=UUID(int=7)))

    def reply(self, event: dict[str, Any]) -> Reply:
        reply = http_api.make_response(json.dumps(self._handler(event, None)).encode())
        return Reply(reply.status, dict(reply.headers), reply.body)

    def post(self, fields: object, path: str = "/") -> Reply:
        return self.request("POST", path, json.dumps(fields).encode(), content_type="application/json")

    def get(self, path: str) -> Reply:
        return self.request("GET", path)


def _texts(body: bytes) -> set[str]:
    try:
        return set(strings(json.loads(body)))
    except (ValueError, RecursionError):
        return set()


SLOWEST = (
    "tests/benchmarks/test_benchmarks.py",
    "tests/contract/test_schemas.py",
    "tests/infra/test_search.py",
    "tests/layers/model/test_references.py",
    "tests/infra/test_template.py",
    "tests/test_documents.py",
    "tests/recipes/test_recipes.py",
    "tests/handler/embedding/test_same_text_same_bits.py",
    "tests/pipelines/test_kills.py",
    "tests/contract/test_hostile_input.py",
    "tests/contract/test_cache.py",
    "tests/pipelines/test_end_to_end.py",
    "tests/faults/test_fail_open.py",
)
"""The files whose tests take longest in all (`pytest --durations=0`), the slowest first. If they came last, one worker would still
run them when the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first, and keep the order of the others."""
    places = {ROOT / path: place for place, path in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Hide the collected tests from the garbage collector, which every load of a model runs: it took 0.2 s longer with them."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail every test in which the log or an exception contains something that was sent."""
    del item
    report = yield
    if call.when == "call":
        logged = [line for line in report.capstderr.splitlines() if line.startswith("{")]
        if leaked := leaks(logged):
            report.outcome, report.longrepr = "failed", f"The log or an exception contains something that was sent: {leaked}"
    return report


type ClientOf = Callable[..., Client]
"""Makes a client of a model folder, with settings by their names."""


def serve(model: Path, **settings: str) -> Service:
    """Load the service of a model folder, with settings by their names."""
    return load_service({"MODEL_DIR": str(model), **settings})


@pytest.fixture(scope="session")
def service() -> Service:
    """Provide the default model."""
    return serve(INT8)


@pytest.fixture(scope="session")
def exact_service() -> Service:
    """Provide the default model in float32."""
    return serve(FP32)


@pytest.fixture(scope="session")
def client(service: Service) -> Client:
    """Provide a client of the default model."""
    return Client(make_handler(service, None))


@pytest.fixture
def client_of() -> ClientOf:
    """Provide a function that makes a client of a model folder with settings."""
    return lambda model, **settings: Client(make_handler(serve(model, **settings), None))


@pytest.fixture(scope="session")
def plain() -> Client:
    """Provide a client of the default model without a cache."""
    return Client(make_handler(serve(INT8, CACHE_MEMORY_MB="0"), None))


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[LocalDynamoDB]:
    """Provide a DynamoDB with an empty table."""
    with LocalDynamoDB() as dynamodb:
        yield dynamodb


@pytest.fixture(scope="session")
def aws_server() -> Iterator[LocalAWS]:
    """Provide AWS's services on this machine, without resources."""
    with LocalAWS() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> LocalAWS:
    """Provide AWS's services, and let this test's clients find them. Resources of other tests are still there."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return aws_server


@dataclass(frozen=True)
class LocalS3:
    """moto's S3 on this machine, with one bucket."""

    port: int
    bucket: str = "models"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which AWS's libraries find it."""
        return AWS | {"AWS_ENDPOINT_URL_S3": self.endpoint}

    def client(self) -> Any:  # noqa: ANN401 - boto3 has no types
        return boto3.client("s3", "us-east-1", endpoint_url=self.endpoint, aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106

    def upload(self, folder: Path, prefix: str) -> str:
        """Upload a folder's files and return the URI of the prefix."""
        for path in folder.iterdir():
            self.client().upload_file(str(path), self.bucket, f"{prefix}/{path.name}")
        return f"s3://{self.bucket}/{prefix}"


AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3() -> Iterator[LocalS3]:
    """Provide an S3 with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    s3 = LocalS3(server.get_host_and_port()[1])
    s3.client().create_bucket(Bucket=s3.bucket)
    yield s3
    server.stop()
