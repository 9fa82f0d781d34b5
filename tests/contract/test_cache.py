"""The cache on the wire: the same bytes whichever way a vector comes, and headers that tell which way it was."""

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
    """The table, looked into from outside."""

    def __init__(self, dynamodb: LocalDynamoDB) -> None:
        self._client, self._name = dynamodb.client(), dynamodb.table

    def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._client.scan(TableName=self._name)["Items"]
        return items

    def put(self, item: dict[str, Any]) -> None:
        self._client.put_item(TableName=self._name, Item=item)


@pytest.fixture(scope="module")
def table(dynamodb: LocalDynamoDB) -> Table:
    """The table of all deployments here."""
    return Table(dynamodb)


@pytest.fixture(scope="module")
def proxy(dynamodb: LocalDynamoDB) -> Iterator[FaultProxy]:
    """Counts the calls to the table."""
    with FaultProxy(dynamodb.port) as proxy:
        yield proxy


@pytest.fixture
def deployment(proxy: FaultProxy, dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings of a deployment with an empty table: nothing that another test stored has its keys. Its memory is off."""
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
    """A fresh environment of the deployment."""
    return Client(make_handler(serve(INT8, **(deployment | changes)), None))


@pytest.fixture
def warm(deployment: dict[str, str]) -> Client:
    """One environment for many requests."""
    return client(deployment, CACHE_MEMORY_MB="1")


def told(reply: Reply) -> tuple[str, str, str]:
    """What an answer says of the cache."""
    assert reply.status == 200, reply.body
    names = ("x-compute-type", "x-cache-hits", "x-cache-misses")
    return tuple(reply.headers[name] for name in names)  # type: ignore[return-value]


def asking(deployment: dict[str, str], table: Table, text: str) -> dict[str, Any]:
    """Ask for a text that is new; the item that this stores."""
    before = {item["key"]["B"] for item in table.items()}
    assert told(client(deployment).post({"inputs": text})) == ("cpu", "0", "1")
    (item,) = [item for item in table.items() if item["key"]["B"] not in before]
    return item


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
@pytest.mark.parametrize("model", [INT8, FP32], ids=["int8", "fp32"])
def test_a_vector_has_the_same_bytes_whichever_way_it_comes(
    model: Path, options: dict[str, object], deployment: dict[str, str]
) -> None:
    """Hit, miss, hit in memory, x-use-cache: false, a text the policy skips, no table, no cache at all."""
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
    assert [told(reply) for reply in ways.values()] == [
        ("cpu", "0", "3"),
        ("cache", "3", "0"),
        ("cache", "3", "0"),
        ("cpu", "0", "0"),
        ("cpu", "0", "3"),
        ("cpu", "0", "3"),
    ]
    assert {way for way, reply in ways.items() if reply.body != ways["miss"].body} == set()


def test_one_row_serves_every_normalize_dimensions_and_encoding(deployment: dict[str, str], table: Table) -> None:
    """The first request stores it, the others find it."""
    before = len(table.items())
    replies = [client(deployment).post({"inputs": "One row.", **options}) for options in OPTIONS]
    assert [told(reply)[0] for reply in replies] == ["cpu", *["cache"] * (len(OPTIONS) - 1)]
    assert len(table.items()) == before + 1


def test_texts_that_are_cut_differ_by_the_end_that_is(deployment: dict[str, str]) -> None:
    """And texts that are not cut share a row whichever end would have been."""
    first = client(deployment)
    for text, hits in ((LONG, "0"), ("Short.", "1")):
        first.post({"inputs": text, "truncation_direction": "right"})
        assert told(first.post({"inputs": text, "truncation_direction": "left"}))[1] == hits


def test_32_texts_are_one_call_to_read_and_hits_write_nothing(deployment: dict[str, str], proxy: FaultProxy) -> None:
    """Duplicates are asked for once; reads are of 100 keys at most, writes of 25."""
    texts = [f"Text {number}" for number in range(32)]
    first = client(deployment).post({"inputs": texts + texts})
    assert told(first) == ("cpu", "0", "64")
    assert proxy.calls == {"BatchGetItem": 1, "BatchWriteItem": 2}
    proxy.calls.clear()
    second = client(deployment).post({"inputs": texts + texts})
    assert told(second) == ("cache", "64", "0")
    assert proxy.calls == {"BatchGetItem": 1}
    proxy.calls.clear()
    client(deployment).post({"inputs": [f"Another {number}" for number in range(101)]})
    assert proxy.calls == {"BatchGetItem": 2, "BatchWriteItem": 5}


def test_a_hot_text_costs_no_call(deployment: dict[str, str], proxy: FaultProxy) -> None:
    """A warm environment has it in memory."""
    warm = client(deployment, CACHE_MEMORY_MB="1")
    warm.post({"inputs": "Hot."})
    proxy.calls.clear()
    assert told(warm.post({"inputs": "Hot."})) == ("cache", "1", "0")
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
    """However it says so; and it doesn't touch the memory either."""
    fields, headers = OFF[name]
    asked = client(deployment, CACHE_MEMORY_MB="1")
    body = json.dumps({"inputs": "Not remembered.", **fields}).encode()
    for _ in range(2):
        assert told(asked.request("POST", "/", body, **headers)) == ("cpu", "0", "0")
    assert not proxy.calls
    assert told(asked.post({"inputs": "Not remembered."})) == ("cpu", "0", "1")


def test_part_of_a_request_may_come_from_the_cache(deployment: dict[str, str]) -> None:
    """Then it was computed, and the counts tell how much of it."""
    client(deployment).post({"inputs": ["known", "known too"]})
    assert told(client(deployment).post({"inputs": ["known", "new", "known too", "known"]})) == ("cpu", "3", "1")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(st.sampled_from([LONG, *map(str, range(60))]), min_size=1, max_size=6))
def test_whatever_was_asked_before_an_answer_is_what_it_would_be_without(batch: list[str], warm: Client, plain: Client) -> None:
    """A series of requests, each any mixture of hits in memory, hits and misses."""
    assert warm.post({"inputs": batch}).body == plain.post({"inputs": batch}).body


def test_a_row_that_is_damaged_or_foreign_is_a_miss_and_is_written_over(deployment: dict[str, str], table: Table) -> None:
    """The next request hits again."""
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
        assert (told(repaired), repaired.body) == (("cpu", "0", "1"), good.body)
        assert told(client(deployment).post({"inputs": "Damaged."})) == ("cache", "1", "0")
    table.put({"key": row["key"]})
    assert told(client(deployment).post({"inputs": "Damaged."})) == ("cpu", "0", "1")


def test_a_row_lives_for_the_days_that_were_set_and_not_longer(deployment: dict[str, str], table: Table) -> None:
    """From its writing; DynamoDB takes days to delete it, but it's a miss at once."""
    row = asking(deployment | {"CACHE_TTL_DAYS": "3"}, table, "Mortal.")
    assert int(row["expires"]["N"]) - time.time() == pytest.approx(3 * 24 * 3600, abs=60)
    table.put({**row, "expires": {"N": str(int(time.time()) - 1)}})
    assert told(client(deployment).post({"inputs": "Mortal."})) == ("cpu", "0", "1")


def test_the_table_has_no_word_of_the_text_and_fits_a_write_unit(deployment: dict[str, str], table: Table) -> None:
    """A key, a row and a time; under 1 KB with all names."""
    row = asking(deployment, table, "Secretword")
    assert {name: [*value] for name, value in row.items()} == {"key": ["B"], "row": ["B"], "expires": ["N"]}
    size = len("keyrowexpires") + len(row["key"]["B"]) + len(row["row"]["B"]) + 21  # a number takes 21 bytes at most
    assert size <= 1024
    assert b"Secretword" not in row["row"]["B"] + row["key"]["B"]


def test_another_model_secret_or_deployment_finds_nothing_of_this_one(deployment: dict[str, str]) -> None:
    """Though they share a table."""
    client(deployment).post({"inputs": "Whose?"})
    others = {"another secret": (INT8, {"CACHE_KEY_SECRET": "other"}), "another model": (FP32, {})}
    for name, (model, changes) in others.items():
        reply = Client(make_handler(serve(model, **(deployment | changes)), None)).post({"inputs": "Whose?"})
        assert told(reply)[0] == "cpu", name


ONE_REQUEST = """
import json, sys
from handler.functions.api import handler
reply = handler(json.load(open("events/http_api_v2.json")), None)
print(reply["headers"]["x-compute-type"], "botocore" in sys.modules, "boto3" in sys.modules)
"""


def test_a_fresh_process_finds_what_another_left(dynamodb: LocalDynamoDB) -> None:
    """With the template's own settings: every text is stored. Without a table, AWS's library is not even imported."""
    local = {**os.environ, "MODEL_DIR": str(INT8), "AUTH": "none"}

    def run(**environment: str) -> str:
        command = [sys.executable, "-c", ONE_REQUEST]
        return subprocess.run(command, cwd=ROOT, env=local | environment, capture_output=True, text=True, check=True).stdout

    assert run() == "cpu False False\n"
    assert [run(**dynamodb.environment) for _ in range(2)] == ["cpu True False\n", "cache True False\n"]
