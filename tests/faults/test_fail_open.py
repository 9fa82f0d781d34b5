"""If the table has a fault of any kind, requests get correct vectors in bounded time.

Each fault is injected into 40 requests over real sockets; `make soak` sends 1,000.
"""

import os
import time
from collections.abc import Iterator
from itertools import count

import pytest

from events.dynamodb import LocalDynamoDB
from handler.functions.api import make_handler
from tests.conftest import INT8, Client, serve
from tests.faults.faults import EVERY_CALL, one_in
from tests.faults.proxy import Fault, FaultProxy, none

REQUESTS = int(os.environ.get("FAULT_REQUESTS", "40"))
BUDGET_SECONDS = 0.15
SLACK_SECONDS = 0.7
"""The tolerance for a busy machine. A client without a time budget would take a second longer than the budget."""
NUMBERS = count()


@pytest.fixture(scope="module")
def proxy(dynamodb: LocalDynamoDB) -> Iterator[FaultProxy]:
    """Start a proxy in front of a real table."""
    with FaultProxy(dynamodb.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy, dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Start a deployment whose table is behind the proxy. It has no cache in memory, and writes before it responds."""
    return connected(dynamodb, proxy.endpoint, monkeypatch)


def connected(dynamodb: LocalDynamoDB, endpoint: str, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Client:
    """Return a client of a deployment whose DynamoDB is at an endpoint."""
    for name, value in {**dynamodb.environment, "AWS_ENDPOINT_URL_DYNAMODB": endpoint}.items():
        monkeypatch.setenv(name, value)
    return Client(make_handler(serve(INT8, CACHE_TABLE=dynamodb.table, CACHE_MEMORY_MB="0", **settings), None))


def send(client: Client, plain: Client, requests: int) -> list[float]:
    """Send requests of three texts, two of which are new, and check that the responses are those of a deployment without a cache.

    Return by how many seconds each took longer than without a cache, so that the speed of the machine does not matter.
    """
    added = []
    for _ in range(requests):
        inputs = ["The same text every time.", *(f"Text number {next(NUMBERS)}" for _ in range(2))]
        started = time.perf_counter()
        reply = client.post({"inputs": inputs})
        with_table = time.perf_counter() - started
        expected = plain.post({"inputs": inputs, "use_cache": False})
        added.append(with_table - (time.perf_counter() - started - with_table))
        assert reply.status == 200
        assert reply.body == expected.body
    return added


@pytest.mark.parametrize("fault", EVERY_CALL, ids=lambda fault: fault.__name__)
def test_every_response_is_correct_and_after_a_few_failures_a_fault_costs_no_time(
    fault: Fault, client: Client, plain: Client, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request waits for the table for at most the time budget, and no longer at all once the circuit breaker is open."""
    send(client, plain, 1)
    proxy.fault = fault
    proxy.calls.clear()
    try:
        added = send(client, plain, REQUESTS)
    finally:
        proxy.fault = none
    assert max(added) < 2 * BUDGET_SECONDS + SLACK_SECONDS  # one budget for the look-up, and one for a write that is not deferred
    if fault.__name__ != "foreign":  # here the table works, and only its rows are foreign
        assert sorted(added)[REQUESTS // 2] < 0.03
        assert "cache_failed" in capsys.readouterr().err


@pytest.mark.parametrize("fault", EVERY_CALL, ids=lambda fault: fault.__name__)
def test_a_fault_in_some_calls_fails_no_request(
    fault: Fault, plain: Client, proxy: FaultProxy, dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third call fails. The smaller time budget makes the test shorter."""
    client = connected(dynamodb, proxy.endpoint, monkeypatch, CACHE_BUDGET_MS="50")
    proxy.fault = one_in(3, fault, none)
    try:
        added = send(client, plain, REQUESTS // 5)
    finally:
        proxy.fault = none
    assert max(added) < 2 * BUDGET_SECONDS + SLACK_SECONDS


def test_a_table_that_refuses_connections_fails_no_request(
    dynamodb: LocalDynamoDB, plain: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server listens at port 9, from the first request on."""
    client = connected(dynamodb, "http://127.0.0.1:9", monkeypatch)
    added = send(client, plain, REQUESTS)
    assert max(added) < 2 * BUDGET_SECONDS + SLACK_SECONDS
    assert sorted(added)[REQUESTS // 2] < 0.03
