"""The cache as clients see it: a vector has the same bytes with and without the cache, and headers say where it came from."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.dynamodb import LocalDynamoDB
from handler.functions.api import make_handler
from layers.model.corpus import passages
from tests.conftest import FP32, INT8, ROOT, Client, Reply, serve
from tests.faults.proxy import FaultProxy

LONG = " ".join(passages("scoring", 12))
OPTIONS: list[dict[str, object]] = [
    {},
    {"normalize": False},
    {"dimensions": 7},
    {"dimensions": 100, "normalize": False},
    {"encoding_format": "base64"},
]


class Table:
    """The table, read and changed directly."""

    def __init__(self, dynamodb: LocalDynamoDB) -> None:
        self._client, self._name = dynamodb.client(), dynamodb.table

    def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._client.scan(TableName=self._name)["Items"]
        return items

    def put(self, item: dict[str, Any]) -> None:
        self._client.put_item(TableName=self._name, Item=item)


@pytest.fixture(scope="module")
def table(dynamodb: LocalDynamoDB) -> Table:
    """Make the table that all deployments of this file share."""
    return Table(dynamodb)


@pytest.fixture(scope="module")
def proxy(dynamodb: LocalDynamoDB) -> Iterator[FaultProxy]:
    """Make a proxy that counts the calls to the table."""
    with FaultProxy(dynamodb.port) as proxy:
        yield proxy


@pytest.fixture
def deployment(proxy: FaultProxy, dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make settings of a deployment without a memory cache, whose keys no other test has stored in the table."""
    for name, value in {**dynamodb.environment, "AWS_ENDPOINT_URL_DYNAMODB": proxy.endpoint}.items():
        monkeypatch.setenv(name, value)
    proxy.calls.clear()
    # A budget that a busy machine and a store written in Python keep.
    return {
        "CACHE_TABLE": dynamodb.table,
        "CACHE_MEMORY_MB": "0",
        "CACHE_KEY_SECRET": os.urandom(8).hex(),
        "CACHE_BUDGET_MS": "10000",
    }


def client(deployment: dict[str, str], **changes: str) -> Client:
    """Make a client of a new environment of the deployment."""
    return Client(make_handler(serve(INT8, **(deployment | changes)), None))


@pytest.fixture
def warm(deployment: dict[str, str]) -> Client:
    """Make a client of one environment for many requests."""
    return client(deployment, CACHE_MEMORY_MB="1")


def cache_headers(reply: Reply) -> tuple[str, str, str]:
    """Return what a response says about the cache."""
    assert reply.status == 200, reply.body
    names = ("x-compute-type", "x-cache-hits", "x-cache-misses")
    return tuple(reply.headers[name] for name in names)  # type: ignore[return-value]


def asking(deployment: dict[str, str], table: Table, text: str) -> dict[str, Any]:
    """Embed a new text and return the item that this stores."""
    before = {item["key"]["B"] for item in table.items()}
    assert cache_headers(client(deployment).post({"inputs": text})) == ("cpu", "0", "1")
    (item,) = [item for item in table.items() if item["key"]["B"] not in before]
    return item


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
@pytest.mark.parametrize("model", [INT8, FP32], ids=["int8", "fp32"])
def test_a_vector_has_the_same_bytes_whichever_way_it_comes(
    model: Path, options: dict[str, object], deployment: dict[str, str]
) -> None:
    """The ways are: hit, miss, hit in memory, x-use-cache: false, a text that the policy skips, no table, no cache at all."""
    asked = {"inputs": ["One way.", LONG, "Another."], **options}
    without = {name: value for name, value in deployment.items() if name != "CACHE_TABLE"}

    def fresh(**changes: str) -> Client:
        return Client(make_handler(serve(model, **(deployment | changes)), None))

    warm = fresh(CACHE_MEMORY_MB="1")
    body = json.dumps(asked).encode()
    bypassing = fresh().request("POST", "/", body, x_use_cache="false")
    ways = {
        "miss": warm.post(asked),
        "hit in memory": warm.post(asked),
        "hit": fresh().post(asked),
        "x-use-cache: false": bypassing,
        "skipped": fresh(CACHE_MIN_TOKENS="1000").post(asked),
        "no table": Client(make_handler(serve(model, **without), None)).post(asked),
    }
    assert [cache_headers(reply) for reply in ways.values()] == [
        ("cpu", "0", "3"),
        ("cache", "3", "0"),
        ("cache", "3", "0"),
        ("cpu", "0", "0"),
        ("cpu", "0", "3"),
        ("cpu", "0", "3"),
    ]
    assert {way for way, reply in ways.items() if reply.body != ways["miss"].body} == set()


def test_one_row_serves_every_normalize_dimensions_and_encoding(deployment: dict[str, str], table: Table) -> None:
    """The first request stores the vector, and all others find it."""
    before = len(table.items())
    replies = [client(deployment).post({"inputs": "One row.", **options}) for options in OPTIONS]
    assert [cache_headers(reply)[0] for reply in replies] == ["cpu", *["cache"] * (len(OPTIONS) - 1)]
    assert len(table.items()) == before + 1


def test_truncated_texts_have_one_row_for_each_direction(deployment: dict[str, str]) -> None:
    """Texts that are not truncated have one row for both directions."""
    first = client(deployment)
    for text, hits in ((LONG, "0"), ("Short.", "1")):
        first.post({"inputs": text, "truncation_direction": "right"})
        assert cache_headers(first.post({"inputs": text, "truncation_direction": "left"}))[1] == hits


def test_32_texts_are_one_call_to_read_and_hits_write_nothing(deployment: dict[str, str], proxy: FaultProxy) -> None:
    """A repeated text is looked up once. One call reads at most 100 keys and writes at most 25."""
    texts = [f"Text {number}" for number in range(32)]
    first = client(deployment).post({"inputs": texts + texts})
    assert cache_headers(first) == ("cpu", "0", "64")
    assert proxy.calls == {"BatchGetItem": 1, "BatchWriteItem": 2}
    proxy.calls.clear()
    second = client(deployment).post({"inputs": texts + texts})
    assert cache_headers(second) == ("cache", "64", "0")
    assert proxy.calls == {"BatchGetItem": 1}
    proxy.calls.clear()
    client(deployment).post({"inputs": [f"Another {number}" for number in range(101)]})
    assert proxy.calls == {"BatchGetItem": 2, "BatchWriteItem": 5}


def test_a_hot_text_costs_no_call(deployment: dict[str, str], proxy: FaultProxy) -> None:
    """A warm environment has the vector in memory."""
    warm = client(deployment, CACHE_MEMORY_MB="1")
    warm.post({"inputs": "Hot."})
    proxy.calls.clear()
    assert cache_headers(warm.post({"inputs": "Hot."})) == ("cache", "1", "0")
    assert not proxy.calls


OFF: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "header": ({}, {"x_use_cache": "false"}),
    "header against the body": ({"options": {"use_cache": True}}, {"x_use_cache": "False"}),
    "options": ({"options": {"use_cache": False}}, {}),
    "parameters": ({"parameters": {"use_cache": False}}, {}),
    "root": ({"use_cache": False}, {}),
    "body against the header": ({"use_cache": False}, {"x_use_cache": "true"}),
}


@pytest.mark.parametrize("name", OFF)
def test_a_request_without_the_cache_neither_reads_nor_writes(name: str, deployment: dict[str, str], proxy: FaultProxy) -> None:
    """A request can say so by an option or a header. It does not use the memory either."""
    fields, headers = OFF[name]
    asked = client(deployment, CACHE_MEMORY_MB="1")
    body = json.dumps({"inputs": "Not cached.", **fields}).encode()
    for _ in range(2):
        assert cache_headers(asked.request("POST", "/", body, **headers)) == ("cpu", "0", "0")
    assert not proxy.calls
    assert cache_headers(asked.post({"inputs": "Not cached."})) == ("cpu", "0", "1")


def test_part_of_a_request_may_come_from_the_cache(deployment: dict[str, str]) -> None:
    """The type is then `cpu`, and the counts say how many vectors came from the cache."""
    client(deployment).post({"inputs": ["known", "known too"]})
    assert cache_headers(client(deployment).post({"inputs": ["known", "new", "known too", "known"]})) == ("cpu", "3", "1")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(st.sampled_from([LONG, *map(str, range(60))]), min_size=1, max_size=6))
def test_a_response_does_not_depend_on_earlier_requests(batch: list[str], warm: Client, plain: Client) -> None:
    """Each request of a series mixes hits in memory, hits in the table and misses."""
    assert warm.post({"inputs": batch}).body == plain.post({"inputs": batch}).body


def test_a_row_that_is_damaged_or_foreign_is_a_miss_and_is_written_over(deployment: dict[str, str], table: Table) -> None:
    """The request after it is a hit again."""
    row = asking(deployment, table, "Damaged.")
    good = client(deployment).post({"inputs": "Damaged."})
    content = row["row"]["B"]
    for damaged in (
        {"B": content[:-1]},
        {"B": content[:20] + bytes([content[20] ^ 1]) + content[21:]},
        {"B": b""},
        {"S": "text"},
        {"NULL": True},
    ):
        table.put({**row, "row": damaged})
        repaired = client(deployment).post({"inputs": "Damaged."})
        assert (cache_headers(repaired), repaired.body) == (("cpu", "0", "1"), good.body)
        assert cache_headers(client(deployment).post({"inputs": "Damaged."})) == ("cache", "1", "0")
    table.put({"key": row["key"]})
    assert cache_headers(client(deployment).post({"inputs": "Damaged."})) == ("cpu", "0", "1")


def test_a_row_lives_for_the_days_that_were_set_and_not_longer(deployment: dict[str, str], table: Table) -> None:
    """The time counts from the write. DynamoDB deletes an expired row days later, but the row is a miss at once."""
    row = asking(deployment | {"CACHE_TTL_DAYS": "3"}, table, "Mortal.")
    assert int(row["expires"]["N"]) - time.time() == pytest.approx(3 * 24 * 3600, abs=60)
    table.put({**row, "expires": {"N": str(int(time.time()) - 1)}})
    assert cache_headers(client(deployment).post({"inputs": "Mortal."})) == ("cpu", "0", "1")


def test_the_table_has_no_word_of_the_text_and_fits_a_write_unit(deployment: dict[str, str], table: Table) -> None:
    """An item has a key, a row and a time, in less than 1 KB with all names."""
    row = asking(deployment, table, "Secretword")
    assert {name: [*value] for name, value in row.items()} == {"key": ["B"], "row": ["B"], "expires": ["N"]}
    size = len("keyrowexpires") + len(row["key"]["B"]) + len(row["row"]["B"]) + 21  # a number takes 21 bytes at most
    assert size <= 1024
    assert b"Secretword" not in row["row"]["B"] + row["key"]["B"]


def test_another_model_secret_or_deployment_finds_nothing_of_this_one(deployment: dict[str, str]) -> None:
    """Deployments that share a table must not share vectors."""
    client(deployment).post({"inputs": "Whose?"})
    others = {"another secret": (INT8, {"CACHE_KEY_SECRET": "other"}), "another model": (FP32, {})}
    for name, (model, changes) in others.items():
        reply = Client(make_handler(serve(model, **(deployment | changes)), None)).post({"inputs": "Whose?"})
        assert cache_headers(reply)[0] == "cpu", name


ONE_REQUEST = """
import json, sys
from handler.functions.api import handler
reply = handler(json.load(open("events/http_api_v2.json")), None)
print(reply["headers"]["x-compute-type"], "botocore" in sys.modules, "boto3" in sys.modules)
"""


def test_a_fresh_process_finds_what_another_left(dynamodb: LocalDynamoDB) -> None:
    """The template's settings store every text. Without a table, AWS's library is not imported."""
    local = {**os.environ, "MODEL_DIR": str(INT8), "AUTH": "none"}

    def run(**environment: str) -> str:
        command = [sys.executable, "-c", ONE_REQUEST]
        return subprocess.run(command, cwd=ROOT, env=local | environment, capture_output=True, text=True, check=True).stdout

    assert run() == "cpu False False\n"
    assert [run(**dynamodb.environment) for _ in range(2)] == ["cpu True False\n", "cache True False\n"]
