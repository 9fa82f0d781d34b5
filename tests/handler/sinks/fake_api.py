"""An API of AWS's that answers as it is told to, over HTTP: moto refuses no part of a batch."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

type Answer = Callable[[Any], tuple[int, Any]]
"""What answers a request's JSON: the status, and JSON."""


@dataclass
class FakeApi:
    """Where it listens, and what it was asked."""

    endpoint: str
    requests: list[Any] = field(default_factory=list)


@contextmanager
def fake_api(answer: Answer) -> Iterator[FakeApi]:
    """A server that answers every request by `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.requests.append(request)
            status, content = answer(request)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if "__type" in content:
                self.send_header("x-amzn-ErrorType", content["__type"])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = FakeApi(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
