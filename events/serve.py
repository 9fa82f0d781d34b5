"""Serve the Lambda handler on this machine: HTTP request, API Gateway event, handler(event, context), HTTP response.

A request runs through the same code as in AWS. The gateway's limit on requests and Lambda's limit on responses apply here as well.
The gateway's time-out of 30 s does not.
"""

import argparse
import asyncio
import importlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.types import Receive, Scope, Send

from events import http_api

HANDLER = "handler.functions.api.handler"
SENTENCE = "Today is a sunny day and I will get some ice cream."
MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""The largest request body of an HTTP API (API Gateway quotas)."""
MAX_RESPONSE_BYTES = 6_291_556
"""The largest response of a Lambda function; the Runtime Interface Emulator has the same limit."""
TIMEOUT_SECONDS = 29
"""The function's time-out. It is shorter than the 30 s after which an HTTP API gives up."""

type Handler = Callable[[dict[str, Any], "Context"], object]


@dataclass(frozen=True, slots=True)
class Context:
    """The fields of awslambdaric's LambdaContext."""

    aws_request_id: str
    deadline: float
    function_name: str = "api"
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "1769"
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:api"
    log_group_name: str = "/aws/lambda/api"
    log_stream_name: str = "local"
    client_context: None = None
    identity: None = None
    tenant_id: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda would stop the invocation."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class Environment:
    """One Lambda environment: the handler is loaded once, and one thread runs it.

    A Lambda environment handles one request at a time, and the handler's event loop belongs to the thread that made it.
    """

    def __init__(self, handler: str) -> None:
        """Import the handler and make it load the model, as Lambda does in the init phase.

        Args:
            handler: dotted name, as in template.yaml.
        """
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lambda")
        self._handler: Handler = self._thread.submit(_imported, handler).result()
        health = http_api.Request("GET", "/health", "", [], b"", "127.0.0.1", 80)
        self._thread.submit(self._invoke, health, datetime.now(UTC)).result()

    async def handle(self, request: http_api.Request) -> http_api.Response:
        """Send a request to the handler, when the thread is free, and return the response that the gateway would send."""
        received = datetime.now(UTC)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._invoke, request, received)

    def _invoke(self, request: http_api.Request, received: datetime) -> http_api.Response:
        request_id = uuid4()
        event = http_api.make_event(request, received=received, request_id=request_id)
        context = Context(aws_request_id=str(request_id), deadline=time.monotonic() + TIMEOUT_SECONDS)
        try:
            returned = self._handler(event, context)
            payload = returned if isinstance(returned, bytes) else json.dumps(returned, ensure_ascii=False).encode()
            if len(payload) > MAX_RESPONSE_BYTES:
                print(f"The response has {len(payload):,} bytes; Lambda allows {MAX_RESPONSE_BYTES:,}.", file=sys.stderr)
                return http_api.make_gateway_response(500, "Internal Server Error")
            return http_api.make_response(payload)
        except Exception:  # noqa: BLE001 - the gateway sends the same response after every exception
            traceback.print_exc()
            return http_api.make_gateway_response(500, "Internal Server Error")


class Gateway:
    """The ASGI application. Like the gateway, it reads the whole request before it calls the function."""

    def __init__(self, environment: Environment) -> None:
        """Send requests to `environment`."""
        self._environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request and print method, path, status and milliseconds, but never a body or a query."""
        started = time.perf_counter()
        body, complete = await _read(receive)
        if not complete:
            return
        path = _path(scope["raw_path"].decode("latin-1"))
        response = await self._respond(scope, path, body)
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        milliseconds = (time.perf_counter() - started) * 1000
        print(f"{scope['method']} {path} {response.status} {milliseconds:.1f} ms", flush=True)

    async def _respond(self, scope: Scope, path: str, body: bytearray) -> http_api.Response:
        if len(body) > MAX_REQUEST_BYTES:
            return http_api.make_gateway_response(413, "Request Entity Too Large")
        return await self._environment.handle(
            http_api.Request(
                method=scope["method"],
                path=path,
                query=scope["query_string"].decode("latin-1"),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
                body=bytes(body),
                client=scope["client"][0],
                port=scope["server"][1],
            )
        )


async def _read(receive: Receive) -> tuple[bytearray, bool]:
    """Return the body, and True if the client sent all of it.

    Bytes beyond the limit are read and dropped: a client that is still sending would not read the response.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body, False
        if len(body) <= MAX_REQUEST_BYTES:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return body, True


def _path(target: str) -> str:
    """Return the path of a request's target. Clients that talk to a proxy send a whole URL (RFC 9112, section 3.2.2)."""
    scheme, separator, rest = target.partition("://")
    if not separator or "/" in scheme:
        return target
    return "/" + rest.partition("/")[2]


def _imported(handler: str) -> Handler:
    module, _, name = handler.rpartition(".")
    imported: Handler = getattr(importlib.import_module(module), name)
    return imported


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket on the address, not yet listening. It is bound before the model is loaded, to report a taken port at once."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Every connection inherits this option. asyncio sets it only on sockets that name their protocol; without it the body of a
    # response waits 40 ms, until the client acknowledges the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "it is not between 0 and 65535"
        sys.exit(f"Cannot serve on {host} port {port}: {reason}. Choose another port (`make run PORT=…`).")
    return listener


def serve(host: str, port: int) -> None:
    """Load the handler, then listen until interrupted."""
    with _bound(host, port) as listener:
        gateway = Gateway(Environment(HANDLER))
        listener.listen(128)
        address = f"http://{host}:{listener.getsockname()[1]}/"
        print(f"Listening on {address} Try:")
        print(f"""curl -d '{{"inputs": "{SENTENCE}"}}' {address}""", flush=True)
        config = uvicorn.Config(
            gateway, log_level="warning", access_log=False, lifespan="off", ws="none", http="h11", server_header=False
        )
        uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Read the command line and serve; the model and all other settings come from the environment."""
    parser = argparse.ArgumentParser(prog="python -m events.serve", description="Serve the Lambda handler over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--cache",
        choices=["memory", "dynamodb"],
        default="memory",
        help="dynamodb: a local table in addition to this process's memory (%(default)s)",
    )
    arguments = parser.parse_args()
    try:
        with ExitStack() as running:
            if arguments.cache == "dynamodb":
                from events.dynamodb import LocalDynamoDB  # noqa: PLC0415 - 0.4 s for AWS's library

                dynamodb = running.enter_context(LocalDynamoDB())
                os.environ.update(dynamodb.environment)
                print(f"The table `{dynamodb.table}` is at {dynamodb.endpoint}")
            serve(arguments.host, arguments.port)
    except KeyboardInterrupt:
        # uvicorn has finished the open requests before it raises the interrupt again.
        sys.exit(130)


if __name__ == "__main__":
    main()
