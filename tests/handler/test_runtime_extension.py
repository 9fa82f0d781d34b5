"""Work after the response, in AWS's emulator with real timings, and with a small API of the tests for rare situations."""

import asyncio
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from events.dynamodb import LocalDynamoDB
from events.emulator import Emulator
from handler.bootstrap import lambda_function, load_service
from handler.functions.api import make_handler
from handler.runtime_extension import RuntimeExtension
from tests.conftest import INT8, ROOT, Client
from tests.faults.proxy import Exchange, FaultProxy

WRITE_SECONDS = 0.6
"""A response must take less, also on a slow machine. The extension ends work after a second."""
SECONDS = 15.0
"""The seconds after which a test gives up."""


async def slow_writes(exchange: Exchange) -> None:
    """Delay every write to the table."""
    if exchange.operation == "BatchWriteItem":
        await asyncio.sleep(WRITE_SECONDS)
    await exchange.send(await exchange.forward())


def test_the_response_is_sent_before_the_write_and_the_environment_freezes_after_it(dynamodb: LocalDynamoDB) -> None:
    """The order in the log is RTDONE, the write, END. An invocation that writes nothing or fails ends at once."""
    with FaultProxy(dynamodb.port) as proxy:
        proxy.fault = slow_writes
        environment = os.environ | dynamodb.environment | {"MODEL_DIR": str(INT8), "CACHE_BUDGET_MS": "5000"}
        events = [b'{"inputs": "warm"}', b'{"inputs": "written"}', b'{"inputs": "written"}', b"{}", b'{"inputs": "written too"}']
        with Emulator(env=environment | {"AWS_ENDPOINT_URL_DYNAMODB": proxy.endpoint}) as emulator:
            replies = [emulator.invoke(event) for event in events]
            log = emulator.log
    assert b"errorMessage" in replies[3]
    assert replies[1] == replies[2]
    assert proxy.calls["BatchWriteItem"] == 3
    responded = [float(found) for found in re.findall(r"INVOKE RTDONE.* duration: ([\d.]+)ms", log)]
    ended = [float(found) for found in re.findall(r"\tDuration: ([\d.]+) ms", log)]
    after = [end - response for response, end in zip(responded, ended, strict=True)]
    write_ms = WRITE_SECONDS * 1000
    assert [milliseconds >= write_ms for milliseconds in after[1:]] == [True, False, False, True]
    assert max(responded[1:]) < write_ms


def test_without_an_extensions_api_writes_are_done_before_the_response(
    dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another runtime may set the variable of the API without having extensions."""
    with FaultProxy(dynamodb.port) as proxy:
        settings = {
            **dynamodb.environment,
            "AWS_ENDPOINT_URL_DYNAMODB": proxy.endpoint,
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",
            "MODEL_DIR": str(INT8),
            "CACHE_BUDGET_MS": "5000",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert (
            Client(lambda_function(lambda environment, later: make_handler(load_service(environment, later), None)))
            .post({"inputs": "Before the response."})
            .status
            == 200
        )
        assert proxy.calls["BatchWriteItem"] == 1


def test_on_managed_instances_no_extension_is_registered_and_writes_are_done_before_the_response(
    dynamodb: LocalDynamoDB, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda refuses extensions for invocations there, because an environment has several of them at the same time."""
    with FaultProxy(dynamodb.port) as proxy:
        settings = {
            **dynamodb.environment,
            "AWS_ENDPOINT_URL_DYNAMODB": proxy.endpoint,
            "AWS_LAMBDA_RUNTIME_API": api,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "MODEL_DIR": str(INT8),
            "CACHE_BUDGET_MS": "5000",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        client = Client(lambda_function(lambda environment, later: make_handler(load_service(environment, later), None)))
        assert client.post({"inputs": "On an instance."}).status == 200
        assert proxy.calls["BatchWriteItem"] == 1
    assert RuntimeApi.asked.empty()


class RuntimeApi(BaseHTTPRequestHandler):
    """The part of Lambda's API for extensions. It responds to `next` with the events that a test queues."""

    events: ClassVar[queue.Queue[bytes | None]] = queue.Queue()
    asked: ClassVar[queue.Queue[str]] = queue.Queue()
    identifiers: ClassVar[list[str]] = ["one"]

    def do_POST(self) -> None:
        self._answer(b"{}", self.identifiers)

    def do_GET(self) -> None:
        self.asked.put(self.headers["Lambda-Extension-Identifier"])
        event = self.events.get()
        if event is None:
            self.close_connection = True
            return
        self._answer(event, [])

    def _answer(self, content: bytes, identifiers: list[str]) -> None:
        self.send_response(200)
        for identifier in identifiers:
            self.send_header("Lambda-Extension-Identifier", identifier)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Write no log."""


@pytest.fixture
def api() -> Iterator[str]:
    """Serve the API; the value is its address."""
    RuntimeApi.events, RuntimeApi.asked = queue.Queue(), queue.Queue()
    with ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def extension(api: str) -> Iterator[RuntimeExtension]:
    """An extension that waits for its first event."""
    before = signal.getsignal(signal.SIGTERM)
    extension = RuntimeExtension.registered(api)
    extension.start()
    assert RuntimeApi.asked.get(timeout=SECONDS) == "one"
    yield extension
    signal.signal(signal.SIGTERM, before)


def invoke(request_id: str, seconds: float = 30) -> None:
    """Report an invocation to the extension, with a deadline in so many seconds."""
    deadline = int((time.time() + seconds) * 1000)
    RuntimeApi.events.put(json.dumps({"eventType": "INVOKE", "requestId": request_id, "deadlineMs": deadline}).encode())


def asks_again(within: float = SECONDS) -> bool:
    """Return whether the extension asked for the next event, after which the environment may freeze."""
    try:
        RuntimeApi.asked.get(timeout=within)
    except queue.Empty:
        return False
    return True


def test_the_next_event_is_asked_for_only_when_the_work_is_done(extension: RuntimeExtension) -> None:
    """It is not asked for before the response either, even if there is no work."""
    done: list[float] = []
    invoke("a")
    assert not asks_again(within=0.1)
    extension.defer(done.append)
    extension.defer(done.append)
    assert not asks_again(within=0.1)
    assert not done
    extension.finish_invocation("a")
    assert asks_again()
    assert len(done) == 2
    invoke("b")
    extension.finish_invocation("b")
    assert asks_again()


def test_a_response_that_comes_before_the_event_is_not_waited_for(extension: RuntimeExtension) -> None:
    """The handler may be faster than the event of its invocation."""
    extension.finish_invocation("a")
    invoke("a")
    assert asks_again()


def test_work_gets_the_time_that_is_left_and_a_second_at_most(extension: RuntimeExtension) -> None:
    """Half a second before the deadline is left to Lambda. If no time remains, no work is started."""
    given: list[float] = []
    for request_id, seconds in (("a", 30.0), ("b", 1.4), ("c", 0.4)):
        extension.defer(given.append)
        invoke(request_id, seconds)
        extension.finish_invocation(request_id)
        assert asks_again()
    assert given[0] == 1
    assert 0 < given[1] <= 0.9
    assert len(given) == 2


def test_a_handler_that_never_responds_does_not_block_the_extension(extension: RuntimeExtension) -> None:
    """The extension asks for the next event before the deadline."""
    del extension
    invoke("a", seconds=0.7)
    assert asks_again(within=2)


def test_work_that_fails_and_connections_that_break_do_not_end_the_extension(
    extension: RuntimeExtension, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an extension has ended, no environment would freeze before an invocation's deadline."""
    RuntimeApi.events.put(None)
    assert asks_again()
    RuntimeApi.events.put(b"not JSON")
    assert asks_again()
    extension.defer(lambda seconds: [][int(seconds)])
    invoke("a")
    extension.finish_invocation("a")
    assert asks_again()
    logged = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert logged == ["extension_interrupted", "extension_interrupted", "unexpected_error"]


def test_registration_fails_if_the_api_returns_no_identifier(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller continues without an extension."""
    monkeypatch.setattr(RuntimeApi, "identifiers", [])
    with pytest.raises(HTTPException):
        RuntimeExtension.registered(api)


TERMINATED = """
import signal, sys
from handler.runtime_extension import RuntimeExtension
extension = RuntimeExtension.registered(sys.argv[1])
extension.start()
extension.defer(lambda seconds: print(f"stored within {seconds:.1f} s", flush=True))
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_the_remaining_work_is_done_when_the_environment_is_shut_down(api: str) -> None:
    """That happens on SIGTERM, which then ends the process."""
    process = subprocess.Popen([sys.executable, "-c", TERMINATED, api], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate(timeout=SECONDS)[0] == "stored within 0.3 s\n"
    assert process.returncode == -signal.SIGTERM
