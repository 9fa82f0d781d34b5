"""Hostile requests get an ordinary response: no 5xx, no hang, no growing memory, no other shape of error."""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Client
from tests.contract import hostile

COUNT = int(os.environ.get("HOSTILE_REQUESTS", "2000"))
"""`make soak` asks for 100,000."""
GROWTH_MB = 64


def resident_mb() -> float:
    """Return the memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_hostile_requests_are_answered_and_nothing_grows(client: Client) -> None:
    """A seed makes the same requests in every run. Memory may grow only during the first tenth, which warms everything up."""
    statuses: Counter[int] = Counter()
    warm = 0.0
    for index, reply in enumerate(hostile.requests(client, seed=7, count=COUNT)):
        hostile.check(reply)
        statuses[reply.status] += 1
        if index == COUNT // 10:
            warm = resident_mb()
    assert resident_mb() - warm < GROWTH_MB
    assert all(statuses[status] for status in (200, 400, 404, 405, 413, 415, 422)), statuses
    assert statuses[200] > COUNT // 20


def test_a_text_of_five_megabytes_is_answered(client: Client) -> None:
    """The text is truncated to the model's limit."""
    reply = client.request("POST", "/", b'{"inputs": "' + b"word " * 1_000_000 + b'"}', content_type="application/json")
    assert reply.status == 200


LONG = "9" * 4_300
"""A number with as many digits as Python's JSON reads."""


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (
            "/",
            f'{{"inputs": "a", "user": "\\ud800", "dimensions": {LONG}}}',
            "`dimensions` must be a whole number up to 2147483647. Given: a number",
        ),
        (
            "/v1/embeddings",
            f'{{"user": "\\ud800", "input": [{LONG}]}}',
            "a token id must be below 30522, the size of this model's vocabulary. Given: a number",
        ),
    ],
)
def test_a_number_of_thousands_of_digits_is_refused_without_being_written(
    client: Client, path: str, body: str, sentence: str
) -> None:
    """Half of a surrogate pair next to it makes Python's own JSON read the body, which has no limit of 64 bits."""
    reply = client.request("POST", path, body.encode(), content_type="application/json")
    assert reply.status == 422
    assert sentence in reply.body.decode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"inputs": "caf\xe9"}', "it is not UTF-8 from byte 15 on"),
        (gzip.compress(b'{"inputs": "a"}', mtime=0), "it is not UTF-8 from byte 1 on"),
        (b'{"inputs": "\\ud800", "user": NaN}', "it has a number that is not JSON's, or that has too many digits"),
        (b'{"inputs": "\\ud800" "a"}', "Expecting ',' delimiter: line 1 column 21 (char 20)"),
        (b'{"inputs": "\\ud800", "user": ' + b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_the_reason_is_said_of_bytes_that_are_no_text_and_next_to_half_of_a_surrogate_pair(
    client: Client, body: bytes, reason: str
) -> None:
    """Text in Latin-1, or a gzip whose header was forgotten, are the mistakes that a sentence without the reason would hide."""
    assert client.request("POST", "/", body).error == (400, "Validation", f"The body is not valid JSON: {reason}")
    reply = client.request("POST", "/", body, content_type="image/png")
    assert (reply.status, f"({reason})" in reply.json["error"]) == (415, True)


@pytest.mark.parametrize("host", [host for host in hostile.HOSTS if ":" not in host])
@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/embed", 405), ("OPTIONS", "/nothing", 204)]
)
def test_a_host_that_cannot_be_part_of_a_url_changes_no_response(
    client: Client, method: str, path: str, status: int, host: str
) -> None:
    """The application must not read the Host header."""
    assert client.request(method, path, host=host).status == status


@pytest.mark.parametrize("host", [host for host in hostile.HOSTS if ":" in host])
def test_a_host_whose_port_is_no_number_is_refused(client: Client, host: str) -> None:
    """Mangum reads the port before the application sees the request."""
    assert client.request("GET", "/nothing", host=host).status == 400
