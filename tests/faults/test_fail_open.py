"""Whatever befalls the table, requests are answered with right vectors in bounded time: over real sockets, 40 requests a fault.

`make soak` sends 1,000.
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
"""For a machine that others use too; a client that waits as long as it likes takes a second more than its budget."""
NUMBERS = count()


@pytest.fixture(scope="module")
def proxy(dynamodb: LocalDynamoDB) -> Iterator[FaultProxy]:
    """A proxy before a real table."""
    with FaultProxy(dynamodb.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy, dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A deployment whose table is behind the proxy, without a memory that would hide it; writes are done before the answer."""
    return connected(dynamodb, proxy.endpoint, monkeypatch)


def connected(dynamodb: LocalDynamoDB, endpoint: str, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Client:
    """A deployment whose DynamoDB is at an endpoint."""
    for name, value in {**dynamodb.environment, "AWS_ENDPOINT_URL_DYNAMODB": endpoint}.items():
        monkeypatch.setenv(name, value)
    return Client(make_handler(serve(INT8, CACHE_TABLE=dynamodb.table, CACHE_MEMORY_MB="0", **settings), None))


def ask(client: Client, plain: Client, requests: int) -> list[float]:
    """Send requests of three texts, two of them new; each must be answered as one without a cache answers it.

    The seconds that each took beyond that one: the machine's own speed is in both.
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
def test_every_request_is_answered_rightly_and_soon_it_costs_nothing(
    fault: Fault, client: Client, plain: Client, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the table is in trouble a request waits for the budget at most, and after a few failures not at all."""
    ask(client, plain, 1)
    proxy.fault = fault
    proxy.calls.clear()
    try:
        added = ask(client, plain, REQUESTS)
    finally:
        proxy.fault = none
    assert max(added) < 2 * BUDGET_SECONDS + SLACK_SECONDS  # the look-up's, and the write's where it can't wait
    if fault.__name__ != "foreign":  # the table is well, its rows are not
        assert sorted(added)[REQUESTS // 2] < 0.03
        assert "cache_failed" in capsys.readouterr().err


@pytest.mark.parametrize("fault", EVERY_CALL, ids=lambda fault: fault.__name__)
def test_what_strikes_now_and_then_loses_no_request(
    fault: Fault, plain: Client, proxy: FaultProxy, dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third call, and a budget that can be kept in a shorter test."""
    client = connected(dynamodb, proxy.endpoint, monkeypatch, CACHE_BUDGET_MS="50")
    proxy.fault = one_in(3, fault, none)
    try:
        added = ask(client, plain, REQUESTS // 5)
    finally:
        proxy.fault = none
    assert max(added) < 2 * BUDGET_SECONDS + SLACK_SECONDS


def test_a_port_where_nobody_listens(dynamodb: LocalDynamoDB, plain: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first request on."""
    client = connected(dynamodb, "http://127.0.0.1:9", monkeypatch)
    added = ask(client, plain, REQUESTS)
    assert max(added) < 2 * BUDGET_SECONDS + SLACK_SECONDS
    assert sorted(added)[REQUESTS // 2] < 0.03
