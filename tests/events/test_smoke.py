"""`make smoke` is run against an endpoint on this machine and the outputs of a stack."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from events.smoke import smoke


class Endpoint(BaseHTTPRequestHandler):
    """A server that responds as the deployed API does; with `open_to_all` it requires no key, which the command must find."""

    open_to_all: ClassVar[bool] = False

    def do_GET(self) -> None:
        """Respond to /health."""
        self._answer(200, {})

    def do_POST(self) -> None:
        """Respond to a request for a vector."""
        self.rfile.read(int(self.headers["content-length"]))
        known = self.open_to_all or self.headers["authorization"] == "Bearer the-key"
        self._answer(200 if known else 401, [[0.0] * 384] if known else {"error": "Invalid"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class AWS:
    """The calls of CloudFormation and Secrets Manager that the command makes."""

    def __init__(self, url: str, secret: str) -> None:
        self._outputs = {"Url": url, "ApiKey": "arn"}
        self._secret = secret

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        """Return one stack."""
        assert StackName == "stack"
        return {"Stacks": [{"Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in self._outputs.items()]}]}

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        """Return the secret."""
        assert SecretId == "arn"
        return {"SecretString": self._secret}


@pytest.fixture
def url() -> Iterator[str]:
    """Provide an endpoint that requires a key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("secret", ["the-key\n", '{"search": "the-key", "other": "another"}'])
def test_a_stack_that_requires_a_key_and_embeds_passes(url: str, secret: str) -> None:
    """The key is that of the stack's secret, or the first of several."""
    assert smoke("stack", lambda _: AWS(url, secret)) == f"{url} embeds: a vector of 384 numbers"


def test_a_stack_that_requires_no_key_fails(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has the path and both statuses."""
    monkeypatch.setattr(Endpoint, "open_to_all", True)
    with pytest.raises(AssertionError, match="without a key answered 200, not 401"):
        smoke("stack", lambda _: AWS(url, "the-key"))


def test_a_stack_that_refuses_its_own_key_fails(url: str) -> None:
    """The secret may hold an old key."""
    with pytest.raises(AssertionError, match="with a key answered 401, not 200"):
        smoke("stack", lambda _: AWS(url, "another-key"))
