"""A fake API of AWS, over HTTP, for the responses that moto never gives: moto refuses no part of a batch."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from handler.records import Failure, Result
from handler.sinks import sink_from

type Answer = Callable[[Any], tuple[int, Any]]
"""Makes the response to a request: takes its JSON, returns a status and JSON."""


@dataclass
class FakeApi:
    """The address of the server, and the requests that it has received."""

    endpoint: str
    requests: list[Any] = field(default_factory=list)


@contextmanager
def fake_api(answer: Answer) -> Iterator[FakeApi]:
    """Run a server whose responses are made by `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(body) if body.startswith(b"{") else body
            api.requests.append(request)
            status, content = answer(request)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if "__type" in content:
                self.send_header("x-amzn-ErrorType", content["__type"])
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = FakeApi(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def write_to(api: FakeApi, uri: str, written: Sequence[Result]) -> list[Failure]:
    """Write to the sink of an address whose service is this API."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", api.endpoint)
        return sink_from(uri).write(written)
