"""A proxy between AWS's library and DynamoDB or S3 that injects faults of networks and services.

It implements the necessary part of HTTP, runs on a thread and an event loop of its own, and counts the calls that reach it.
"""

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
STARTED_SECONDS = 10


@dataclass(frozen=True)
class Exchange:
    """One request that arrived, and the ways to respond to it."""

    head: bytes
    body: bytes
    upstream: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def operation(self) -> str:
        """The name of the call: for example BatchGetItem, or for S3 GET /bucket/object."""
        if target := _header(self.head, b"x-amz-target"):
            return target.rpartition(b".")[2].decode()
        return b" ".join(self.head.split()[:2]).decode()

    @property
    def asked(self) -> dict[str, Any]:
        """The keys or items of the request, by table."""
        items: dict[str, Any] = json.loads(self.body)["RequestItems"]
        return items

    async def forward(self, body: bytes | None = None) -> bytes:
        """Forward the request to the server, with another body if given; return the whole response."""
        reader, writer = await asyncio.open_connection(HOST, self.upstream)
        try:
            sent = self.body if body is None else body
            head = b"\r\n".join(
                line for line in self.head.split(b"\r\n") if not line.lower().startswith((b"content-length", b"conn", b"expect"))
            )
            writer.write(head.rstrip() + b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)
            return _kept_alive(await reader.read())
        finally:
            writer.close()

    async def send(self, content: bytes) -> None:
        """Send bytes to the client."""
        self.writer.write(content)
        await self.writer.drain()

    async def reply(self, status: int, content: dict[str, Any]) -> None:
        """Send a response that the proxy makes itself."""
        await self.send(message(status, json.dumps(content).encode()))

    async def ignore(self) -> None:
        """Wait until the client closes the connection."""
        await self.reader.read()

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


type Fault = Callable[[Exchange], Awaitable[None]]


async def none(exchange: Exchange) -> None:
    """Forward the request and the response, without a fault."""
    await exchange.send(await exchange.forward())


class FaultProxy:
    """A proxy that listens during a `with` block. `fault` may be changed at any time."""

    def __init__(self, upstream: int) -> None:
        """Forward to the server at this port of this machine."""
        self.fault: Fault = none
        self.calls: Counter[str] = Counter()
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        """Start listening."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._listening.wait(STARTED_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drop all connections."""
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """The URL of the proxy."""
        return f"http://{HOST}:{self.port}"

    def _run(self) -> None:
        with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        task = asyncio.current_task()
        assert task
        self._serving = task
        server = await asyncio.start_server(self._connection, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        try:
            await asyncio.Event().wait()  # serve_forever would wait for clients that keep their connections
        finally:
            server.close()
            server.abort_clients()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        # The loop has only a weak reference to the task, and a client that has closed its connection has none.
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing() and not reader.at_eof():
                head = await reader.readuntil(b"\r\n\r\n")
                if _header(head, b"expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                exchange = Exchange(head, await reader.readexactly(_length(head)), self._upstream, reader, writer)
                self.calls[exchange.operation] += 1
                await self.fault(exchange)
        writer.close()


def message(status: int, body: bytes) -> bytes:
    """Return an HTTP response with DynamoDB's content type."""
    return b"HTTP/1.1 %d X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


def _kept_alive(response: bytes) -> bytes:
    head, _, body = response.partition(b"\r\n\r\n")
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")) + b"\r\n\r\n" + body


def _length(head: bytes) -> int:
    return int(_header(head, b"content-length") or b"0")


def _header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header; empty if there is none."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return next((value.strip() for found, _, value in lines if found.lower() == name), b"")
