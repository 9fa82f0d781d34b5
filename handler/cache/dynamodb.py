"""Rows in a DynamoDB table: `key` (binary), `row` (binary), `expires` (the table's TTL, seconds since 1970).

botocore does not retry here: it would sleep up to a second between attempts, beyond any budget of ours.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import batched
from typing import Any

from handler import aws
from handler.aws import Client, error_name, error_status
from handler.cache.breaker import Breaker
from handler.cache.key import Key
from handler.cache.table import Outcome

KEYS_PER_READ, ROWS_PER_WRITE = 100, 25
"""The most that BatchGetItem and BatchWriteItem take."""
CONNECTIONS = 8
"""Calls at the same time: 512 texts are 6 reads or 21 writes."""
SECONDS_PER_DAY = 24 * 60 * 60
FIRST_PAUSE_SECONDS = 0.01
"""Before an attempt is repeated; doubled each time, and drawn from 0 up to it."""

JITTER = random.SystemRandom()
"""The system's own randomness: environments restored from one snapshot share the state of any other generator."""
THROTTLING = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
CLIENT_ERRORS = range(400, 500)

type Rows = dict[Key, bytes]


class Unprocessed(Exception):  # noqa: N818 - what happened, not an error of ours
    """DynamoDB left a part of the request undone for as long as there was time."""


def connect() -> Client:
    """A client, ready to call.

    Raises:
        BotoCoreError: as aws.connect.
    """
    # A thread whose request was given up ends with this time, and its connection with it.
    return aws.connect("dynamodb", read_seconds=1, connections=CONNECTIONS)


class DynamoTable:
    """One table, reached within a budget of time or left alone. Its methods never raise."""

    def __init__(self, client: Client, name: str, ttl_days: int, budget_seconds: float) -> None:
        """Read and write `name`.

        Args:
            client: from `connect`.
            name: the table's name or ARN.
            ttl_days: after so many days from its writing a row is gone.
            budget_seconds: how long a request may wait for a read.
        """
        self._client = client
        self._name = name
        self._ttl_seconds = ttl_days * SECONDS_PER_DAY
        self._budget = budget_seconds
        self._reads, self._writes = Breaker(), Breaker()
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="cache")

    def renew(self) -> None:
        """Leave the connections there were, and what was known of the table, for new ones."""
        self._client = connect()
        self._reads, self._writes = Breaker(), Breaker()

    def read(self, keys: Sequence[Key]) -> Outcome:
        """The rows that are there, as far as they came within the budget."""
        return self._call(self._reads, self._read, list(batched(keys, KEYS_PER_READ, strict=False)), self._budget)

    def write(self, rows: Mapping[Key, bytes], seconds: float) -> Outcome:
        """Store rows within `seconds`; the outcome has those that are surely stored."""
        return self._call(self._writes, self._write, list(batched(rows.items(), ROWS_PER_WRITE, strict=False)), seconds)

    def _call[Part](
        self, breaker: Breaker, call: Callable[[Part, float, Rows], None], parts: list[Part], seconds: float
    ) -> Outcome:
        """Every part on a thread of its own, none waited for beyond `seconds`."""
        outcome = Outcome()
        if not parts or not breaker.allows():
            return outcome
        deadline = time.monotonic() + seconds
        # A thread given up goes on for a while and may add to its own rows, so these are apart from the outcome's.
        done: list[Rows] = [{} for _ in parts]
        futures = [self._threads.submit(call, part, deadline, rows) for part, rows in zip(parts, done, strict=True)]
        wait(futures, timeout=seconds)
        for future, rows in zip(futures, done, strict=True):
            outcome.rows.update(rows)
            if not future.done():
                future.cancel()
                outcome.errors["Timeout"] += 1
            elif error := future.exception():
                outcome.errors[error_name(error)] += 1
        (breaker.failed if outcome.errors else breaker.succeeded)()
        return outcome

    def _read(self, keys: Sequence[Key], deadline: float, rows: Rows) -> None:
        now = time.time()
        pending = {"Keys": [{"key": {"B": key}} for key in keys]}
        for response in self._responses(self._client.batch_get_item, pending, "UnprocessedKeys", deadline):
            for item in response["Responses"].get(self._name, []):
                match item:
                    # DynamoDB keeps a row for up to days after it has expired.
                    case {"key": {"B": bytes(key)}, "row": {"B": bytes(row)}, "expires": {"N": expires}} if float(expires) > now:
                        rows[key] = row

    def _write(self, part: Sequence[tuple[Key, bytes]], deadline: float, rows: Rows) -> None:
        expires = {"N": str(int(time.time()) + self._ttl_seconds)}
        pending = [{"PutRequest": {"Item": {"key": {"B": key}, "row": {"B": row}, "expires": expires}}} for key, row in part]
        for response in self._responses(self._client.batch_write_item, pending, "UnprocessedItems", deadline):
            left = {put["PutRequest"]["Item"]["key"]["B"] for put in response["UnprocessedItems"].get(self._name, [])}
            rows.update((key, row) for key, row in part if key not in left)

    def _responses(self, call: Callable[..., Any], pending: Any, left: str, deadline: float) -> Iterator[Any]:  # noqa: ANN401 - botocore's
        """The responses to a call, repeated with jitter until nothing of it is left or the time is over."""
        reason: Exception = TimeoutError()
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            try:
                response = call(RequestItems={self._name: pending})
                # Where a body is cut, botocore can give a response without any of its fields: that is no success.
                unprocessed = response[left]
            except Exception as error:  # a store's garbage can raise anything
                if not _passing(error):
                    raise
                reason = error
            else:
                yield response
                if not unprocessed:
                    return
                pending, reason = unprocessed[self._name], Unprocessed()
            time.sleep(min(JITTER.uniform(0, pause), max(0.0, deadline - time.monotonic())))
            pause *= 2
        raise reason


def _passing(error: Exception) -> bool:
    """Whether the same call may fare better in a moment: DynamoDB's own no, but for throttling, stays a no."""
    return error_status(error) not in CLIENT_ERRORS or error_name(error) in THROTTLING
