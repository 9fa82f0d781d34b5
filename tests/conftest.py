"""What tests share: the real models, a service over them, and a client that calls the Lambda handler as API Gateway does."""

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

settings.register_profile("any machine", deadline=None)  # an example may take as long as a busy machine needs
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parents[1]
INT8, FP32 = ROOT / "build/model", ROOT / "build/model-fp32"


@dataclass(frozen=True)
class Reply:
    """A response, as the client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, type and sentence of a failure, which has nothing else in it."""
        content = self.json
        assert content.keys() == {"error", "error_type"}, content
        assert self.headers["content-type"] == "application/json"
        return self.status, content["error_type"], content["error"]

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        return json.loads(self.body)


class Client:
    """Calls a Lambda handler with API Gateway events."""

    def __init__(self, answer: Handler) -> None:
        self._answer = answer

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
        say(*_texts(body), *(headers.get(name, "") for name in ("authorization", "api_key", "x_api_key")))
        request = http_api.Request(method, path, "", sent, body, "127.0.0.1", 443)
        return self.reply(http_api.event(request, received=datetime.now(UTC), request_id=UUID(int=7)))

    def reply(self, event: dict[str, Any]) -> Reply:
        reply = http_api.reply(json.dumps(self._answer(event, None)).encode())
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in which something that was sent can be seen, whatever the test is about."""
    del item
    report = yield
    if call.when == "call":
        logged = [line for line in report.capstderr.splitlines() if line.startswith("{")]
        if told := leaks(logged):
            report.outcome, report.longrepr = "failed", f"The log, or what was raised, has what was sent: {told}"
    return report


type ClientOf = Callable[..., Client]
"""Called with a model folder, and settings by their names."""


def serve(model: Path, **settings: str) -> Service:
    """A service over the model in a folder."""
    return load_service({"MODEL_DIR": str(model), **settings})


@pytest.fixture(scope="session")
def service() -> Service:
    """The default model."""
    return serve(INT8)


@pytest.fixture(scope="session")
def exact_service() -> Service:
    """The default model in float32."""
    return serve(FP32)


@pytest.fixture(scope="session")
def client(service: Service) -> Client:
    """A client of the default model."""
    return Client(make_handler(service, None))


@pytest.fixture
def client_of() -> ClientOf:
    """A client of the model in a folder, with settings."""
    return lambda model, **settings: Client(make_handler(serve(model, **settings), None))


@pytest.fixture(scope="session")
def plain() -> Client:
    """A client of the default model in a deployment that remembers nothing."""
    return Client(make_handler(serve(INT8, CACHE_MEMORY_MB="0"), None))


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[LocalDynamoDB]:
    """A DynamoDB with an empty table."""
    with LocalDynamoDB() as dynamodb:
        yield dynamodb


@pytest.fixture(scope="session")
def aws_server() -> Iterator[LocalAWS]:
    """AWS's services, empty."""
    with LocalAWS() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> LocalAWS:
    """AWS's services, where this test's clients find them; what other tests left there is there, too."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return aws_server


@dataclass(frozen=True)
class LocalS3:
    """An S3 on this machine, moto's, with one bucket."""

    port: int
    bucket: str = "models"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What AWS's libraries need to find it."""
        return AWS | {"AWS_ENDPOINT_URL_S3": self.endpoint}

    def client(self) -> Any:  # noqa: ANN401 - boto3 has no types
        return boto3.client("s3", "us-east-1", endpoint_url=self.endpoint, aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106

    def upload(self, folder: Path, prefix: str) -> str:
        """Upload a folder's files; where to."""
        for path in folder.iterdir():
            self.client().upload_file(str(path), self.bucket, f"{prefix}/{path.name}")
        return f"s3://{self.bucket}/{prefix}"


AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3() -> Iterator[LocalS3]:
    """An S3 with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    s3 = LocalS3(server.get_host_and_port()[1])
    s3.client().create_bucket(Bucket=s3.bucket)
    yield s3
    server.stop()
