"""Work after the answer: under AWS's emulator with real timings, and against a small runtime API of our own for rare moments."""

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

WRITE_SECONDS = 0.3
SECONDS = 5.0


async def slow_writes(exchange: Exchange) -> None:
    """A table that takes its time to write."""
    if exchange.operation == "BatchWriteItem":
        await asyncio.sleep(WRITE_SECONDS)
    await exchange.send(await exchange.answer())


def test_the_answer_leaves_before_the_write_and_the_environment_freezes_after_it(dynamodb: LocalDynamoDB) -> None:
    """RTDONE, the write, END; an invocation with nothing to write, or one that fails, is over at once."""
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
    answered = [float(found) for found in re.findall(r"INVOKE RTDONE.* duration: ([\d.]+)ms", log)]
    ended = [float(found) for found in re.findall(r"\tDuration: ([\d.]+) ms", log)]
    after = [end - answer for answer, end in zip(answered, ended, strict=True)]
    write_ms = WRITE_SECONDS * 1000
    assert [milliseconds >= write_ms for milliseconds in after[1:]] == [True, False, False, True]
    assert max(answered[1:]) < write_ms


def test_where_there_is_no_extensions_api_writes_are_done_before_the_answer(
    dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another runtime may name its API and yet offer none."""
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
            .post({"inputs": "Before the answer."})
            .status
            == 200
        )
        assert proxy.calls["BatchWriteItem"] == 1


def test_on_managed_instances_no_extension_is_asked_for_and_writes_are_done_before_the_answer(
    dynamodb: LocalDynamoDB, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda refuses one there that wants to know of invocations; an environment has several at the same time."""
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
    """What Lambda offers extensions, answering `next` when a test says so."""

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
        """Not here."""


@pytest.fixture
def api() -> Iterator[str]:
    """Its address."""
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
    """Let Lambda tell of an invocation that has so long."""
    deadline = int((time.time() + seconds) * 1000)
    RuntimeApi.events.put(json.dumps({"eventType": "INVOKE", "requestId": request_id, "deadlineMs": deadline}).encode())


def asks_again(within: float = SECONDS) -> bool:
    """Whether the extension has asked for the next event, which lets the environment freeze."""
    try:
        RuntimeApi.asked.get(timeout=within)
    except queue.Empty:
        return False
    return True


def test_the_next_event_is_asked_for_only_when_the_work_is_done(extension: RuntimeExtension) -> None:
    """And not before the answer, even where there is no work."""
    done: list[float] = []
    invoke("a")
    assert not asks_again(within=0.1)
    extension.later(done.append)
    extension.later(done.append)
    assert not asks_again(within=0.1)
    assert not done
    extension.answered("a")
    assert asks_again()
    assert len(done) == 2
    invoke("b")
    extension.answered("b")
    assert asks_again()


def test_an_answer_that_came_before_the_event_is_not_waited_for(extension: RuntimeExtension) -> None:
    """The handler may be faster than the news of its invocation."""
    extension.answered("a")
    invoke("a")
    assert asks_again()


def test_work_gets_the_time_that_is_left_and_a_second_at_most(extension: RuntimeExtension) -> None:
    """With what is left of 0.9 s, half a second is kept for Lambda; with nothing left nothing is begun."""
    given: list[float] = []
    for request_id, seconds in (("a", 30.0), ("b", 0.9), ("c", 0.4)):
        extension.later(given.append)
        invoke(request_id, seconds)
        extension.answered(request_id)
        assert asks_again()
    assert given[0] == 1
    assert 0 < given[1] <= 0.4
    assert len(given) == 2


def test_a_handler_that_never_answers_does_not_keep_the_extension(extension: RuntimeExtension) -> None:
    """It asks again before the deadline."""
    del extension
    invoke("a", seconds=0.7)
    assert asks_again(within=2)


def test_work_that_fails_and_connections_that_break_do_not_end_it(
    extension: RuntimeExtension, capsys: pytest.CaptureFixture[str]
) -> None:
    """An extension that ended would keep all later invocations from freezing."""
    RuntimeApi.events.put(None)
    assert asks_again()
    RuntimeApi.events.put(b"not JSON")
    assert asks_again()
    extension.later(lambda seconds: [][int(seconds)])
    invoke("a")
    extension.answered("a")
    assert asks_again()
    logged = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert logged == ["extension_interrupted", "extension_interrupted", "unexpected_error"]


def test_an_api_that_gives_no_identifier_is_none(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registration fails, for the caller to do without."""
    monkeypatch.setattr(RuntimeApi, "identifiers", [])
    with pytest.raises(HTTPException):
        RuntimeExtension.registered(api)


TERMINATED = """
import signal, sys
from handler.runtime_extension import RuntimeExtension
extension = RuntimeExtension.registered(sys.argv[1])
extension.start()
extension.later(lambda seconds: print(f"stored within {seconds:.1f} s", flush=True))
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_what_is_left_is_done_when_the_environment_is_shut_down(api: str) -> None:
    """On SIGTERM, after which the process ends by it."""
    process = subprocess.Popen([sys.executable, "-c", TERMINATED, api], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate(timeout=SECONDS)[0] == "stored within 0.3 s\n"
    assert process.returncode == -signal.SIGTERM
