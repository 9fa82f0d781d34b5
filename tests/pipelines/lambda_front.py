"""A server in front of moto: it runs invocations of Lambda in this process, and passes all other requests on to moto.

moto's own Lambda needs Docker. moto runs state machines, and sends each call of a service to the port in MOTO_PORT. Tests set it to
this server's.
"""

import json
import re
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from handler.bootstrap import Handler

HOST = "127.0.0.1"
INVOCATION = re.compile(r"/2015-03-31/functions/[^/]+/invocations")
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}


class LambdaFront:
    """Listens during a `with` block. `function` may be changed at any time; `upstream` is moto's port."""

    def __init__(self, function: Handler | None = None) -> None:
        self.upstream = 0
        self.function = function
        self.replies: list[Any] = []
        """The function's replies. If it raised, the name of the exception."""
        self._environment = threading.Lock()
        front = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                """Run an invocation; pass on any other request."""
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if INVOCATION.fullmatch(self.path):
                    status, headers, content = 200, *front.invoke(json.loads(body))
                else:
                    status, headers, content = front.pass_on(self.command, self.path, body, dict(self.headers))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def invoke(self, event: object) -> tuple[dict[str, str], bytes]:
        """Invoke the function, one event at a time; return the headers and the body of Lambda's response."""
        with self._environment:
            try:
                assert self.function
                reply = self.function(event, None)
            except Exception as error:  # noqa: BLE001 - whatever a function raises, Lambda responds
                name = type(error).__name__
                self.replies.append(name)
                return {"X-Amz-Function-Error": "Unhandled"}, json.dumps({"errorMessage": str(error), "errorType": name}).encode()
            content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.replies.append(json.loads(content))
            return {}, content

    def pass_on(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Send a request to moto; return the response."""
        connection = HTTPConnection(HOST, self.upstream)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
            return response.status, kept, response.read()
        finally:
            connection.close()
