"""Rows in a DynamoDB table: `key` (binary), `row` (binary), `expires` (the table's TTL, seconds since 1970).

Calls are retried here and not by botocore, which sleeps up to a second between attempts: longer than the whole time budget.
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
"""The limits of BatchGetItem and BatchWriteItem."""
CONNECTIONS = 8
"""The number of calls at the same time. 512 texts need 6 reads or 21 writes."""
SECONDS_PER_DAY = 24 * 60 * 60
FIRST_PAUSE_SECONDS = 0.01
"""The longest pause before the first retry. The limit doubles with each retry. A pause is a random time between 0 and the limit."""

JITTER = random.SystemRandom()
"""The system's random numbers: any other generator has the same state in all environments restored from one snapshot."""
THROTTLING = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
CLIENT_ERRORS = range(400, 500)

type Rows = dict[Key, bytes]


class Unprocessed(Exception):  # noqa: N818 - its name is the name of the metric
    """DynamoDB did not process all items of a request in time."""


def connect() -> Client:
    """Return a client that is ready to call.

    Raises:
        BotoCoreError, ValueError: for the same reasons as aws.connect.
    """
    # A request may stop waiting for a call earlier. After this time the call ends too, and frees its connection.
    return aws.connect("dynamodb", read_seconds=1, connections=CONNECTIONS)


class DynamoTable:
    """One table that is called within a time budget, and not called while it fails. Its methods never raise."""

    def __init__(self, client: Client, name: str, ttl_days: int, budget_seconds: float) -> None:
        """Read and write the table `name`.

        Args:
            client: from `connect`.
            name: the table's name or ARN.
            ttl_days: the number of days after which a row expires.
            budget_seconds: the number of seconds that a request may wait for a read.
        """
        self._client = client
        self._name = name
        self._ttl_seconds = ttl_days * SECONDS_PER_DAY
        self._budget = budget_seconds
        self._reads, self._writes = Breaker(), Breaker()
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="cache")

    def renew(self) -> None:
        """Open new connections and close the circuit breakers, as if nothing had been called yet."""
        self._client = connect()
        self._reads, self._writes = Breaker(), Breaker()

    def read(self, keys: Sequence[Key]) -> Outcome:
        """Return the rows that exist and arrived within the time budget."""
        return self._call(self._reads, self._read, list(batched(keys, KEYS_PER_READ, strict=False)), self._budget)

    def write(self, rows: Mapping[Key, bytes], seconds: float) -> Outcome:
        """Store rows within `seconds`; return those that were certainly stored."""
        return self._call(self._writes, self._write, list(batched(rows.items(), ROWS_PER_WRITE, strict=False)), seconds)

    def _call[Part](
        self, breaker: Breaker, call: Callable[[Part, float, Rows], None], parts: list[Part], seconds: float
    ) -> Outcome:
        """Run `call` with each part, on a thread of its own; wait at most `seconds` for all parts."""
        outcome = Outcome()
        if not parts or not breaker.allows():
            return outcome
        deadline = time.monotonic() + seconds
        # A thread can still add rows after the time-out. It adds them to a dictionary of its own, so the outcome does not change.
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
                    # DynamoDB may return a row days after it has expired.
                    case {"key": {"B": bytes(key)}, "row": {"B": bytes(row)}, "expires": {"N": expires}} if float(expires) > now:
                        rows[key] = row

    def _write(self, part: Sequence[tuple[Key, bytes]], deadline: float, rows: Rows) -> None:
        expires = {"N": str(int(time.time()) + self._ttl_seconds)}
        pending = [{"PutRequest": {"Item": {"key": {"B": key}, "row": {"B": row}, "expires": expires}}} for key, row in part]
        for response in self._responses(self._client.batch_write_item, pending, "UnprocessedItems", deadline):
            unwritten = {put["PutRequest"]["Item"]["key"]["B"] for put in response["UnprocessedItems"].get(self._name, [])}
            rows.update((key, row) for key, row in part if key not in unwritten)

    def _responses(self, call: Callable[..., Any], pending: Any, unprocessed_field: str, deadline: float) -> Iterator[Any]:  # noqa: ANN401 - botocore's
        """Repeat a call, with random pauses, until every item is processed or the time is over; yield each response."""
        reason: Exception = TimeoutError()
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            try:
                response = call(RequestItems={self._name: pending})
                # If the body is truncated, botocore may return a response without its fields. That is a failure.
                unprocessed = response[unprocessed_field]
            except Exception as error:  # a broken response can raise anything
                if not _is_transient(error):
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


def _is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed in a moment. DynamoDB's refusals stay the same, except for throttling."""
    return error_status(error) not in CLIENT_ERRORS or error_name(error) in THROTTLING
