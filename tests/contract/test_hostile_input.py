"""No request, however it is made, gets more than an answer: no 5xx, no hang, no growth of memory, no other shape of failure."""

import os
from collections import Counter
from pathlib import Path

from tests.conftest import Client
from tests.contract import hostile

COUNT = int(os.environ.get("HOSTILE_REQUESTS", "5000"))
"""`make soak` asks for 100,000."""
GROWTH_MB = 64


def resident_mb() -> float:
    """The memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_hostile_requests_are_answered_and_nothing_grows(client: Client) -> None:
    """The same seeded ones each time. After a tenth of them has warmed everything up, memory stays."""
    statuses: Counter[int] = Counter()
    warm = 0.0
    for index, reply in enumerate(hostile.requests(client, seed=7, count=COUNT)):
        hostile.check(reply)
        statuses[reply.status] += 1
        if index == COUNT // 10:
            warm = resident_mb()
    assert resident_mb() - warm < GROWTH_MB
    assert all(statuses[status] for status in (200, 400, 404, 405, 413, 415, 422)), statuses
    assert statuses[200] > COUNT // 10


def test_a_text_of_five_megabytes_is_answered(client: Client) -> None:
    """Cut to the model's limit."""
    reply = client.request("POST", "/", b'{"inputs": "' + b"word " * 1_000_000 + b'"}', content_type="application/json")
    assert reply.status == 200
