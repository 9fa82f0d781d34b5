"""Search: ask an index of S3 Vectors for the vectors that are closest to a query's vector.

IAM: s3vectors:QueryVectors, s3vectors:GetVectors, s3vectors:GetIndex and s3vectors:ListTagsForResource on the index.

Law: knows nothing of HTTP. Nothing is imported from here, and no client is made, before the first search.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import orjson

from handler import aws, telemetry
from handler.aws import CONNECT_SECONDS, Client, error_name
from handler.embedding.manifest import Manifest
from handler.errors import Backend, EmbeddingError, Validation
from handler.vector_index import Index, find_metric_fault, find_mismatch, find_model_fault
from handler.vectors import Vectors

MOST_RESULTS = 100
"""The largest top-K of S3 Vectors (Amazon S3 user guide, "S3 Vectors: Limitations and restrictions")."""
PAUSE_SECONDS = 1.0
"""The longest pause of botocore before a second attempt."""
PATIENCE = ((2, 8.0), (2, 4.0), (2, 2.0), (2, 1.0), (1, 1.0), (1, 0.5), (1, 0.25))
"""Attempts of a call and the seconds that each waits for a response. A call has the first pair that ends before its deadline.

The timeouts of a client cannot be changed, so there is a client for each pair. Most requests have more than 20 s, so one client
makes most calls, and its connection stays open.
"""
CHECK_SHARE = 1 / 3
"""The part of the time left that the check of the index may take. If it takes longer, the index is searched without it."""
THREADS = 4
"""Calls at the same time: one for the search, and those that their searches did not wait for, until their timeouts end them."""
DENIED = "AccessDeniedException"

type Connect = Callable[..., Client]
"""Makes a client: handler.aws.connect, or a test's own."""


@dataclass(frozen=True, slots=True)
class Match:
    """A vector that the index found: its id, its similarity to the query (the cosine), and its metadata if asked for."""

    id: str
    score: np.float32
    metadata: Mapping[str, Any] = field(default_factory=dict)


class SearchIndex:
    """One index of S3 Vectors. Every method raises an EmbeddingError that says what was wrong."""

    def __init__(self, arn: str, connect: Connect = aws.connect) -> None:
        """Search the index with this ARN. Its clients are made when they are needed."""
        self._arn = arn
        self._region, self.name = arn.split(":")[3], arn.rpartition("/")[2]
        self._connect = connect
        self._clients: dict[tuple[int, float], Client] = {}
        self._connecting = Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="search")
        self._is_checked = False

    def check(self, manifest: Manifest, deadline: float) -> None:
        """Check that the index has vectors of this model, with its dimension and its distance; once for each environment.

        If the function may not read these properties, nothing is known and nothing is refused. If they could not be read for
        another reason, the next search checks them.

        Raises:
            Backend: the index has other vectors, or compares them by another distance, or does not exist.
        """
        if fault := find_model_fault(manifest):
            raise Backend(fault)
        if self._is_checked:
            return
        now = time.monotonic()
        index, is_known = self._read(now + CHECK_SHARE * (deadline - now))
        if fault := find_mismatch(index, manifest, is_searched=True):
            telemetry.log("index_refused", index=self.name, reason=fault)
            raise Backend(fault)
        self._is_checked = is_known

    def find(
        self, vector: Vectors, count: int, conditions: Mapping[str, Any] | None, deadline: float, *, with_metadata: bool
    ) -> list[Match]:
        """Return the `count` vectors that are closest to `vector`, the closest first.

        Args:
            vector: of the query, with the dimension of the index.
            count: at most MOST_RESULTS.
            conditions: a filter on the metadata; None for all vectors.
            deadline: the reading of time.monotonic() at which no call waits any more.
            with_metadata: true to return the metadata of the vectors.

        Raises:
            Validation: S3 Vectors refuses the filter.
            Backend: the index refuses the query, compares by another distance, or does not answer before the deadline.
        """
        decimals = orjson.loads(orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY))  # half of the bytes of their float64
        asked = {
            "indexArn": self._arn,
            "topK": count,
            "queryVector": {"float32": decimals},
            "returnDistance": True,
            "returnMetadata": with_metadata,
            **({} if conditions is None else {"filter": conditions}),
        }
        found: list[Match] = []
        for _ in range(count):  # more pages than results are impossible, unless pages are empty
            try:
                response = self._ask(lambda client: client.query_vectors(**asked), deadline)
                # If the body is truncated, botocore may return a response without its fields. That is a failure.
                found += _matches(response["vectors"], self.name, response["distanceMetric"])
            except EmbeddingError:
                raise
            except Exception as error:  # a broken response can raise anything
                raise self._failure(error, has_conditions=conditions is not None) from error
            if "nextToken" not in response or len(found) >= count:
                break
            asked["nextToken"] = response["nextToken"]
        return found[:count]

    def _read(self, deadline: float) -> tuple[Index, bool]:
        """Return the properties of the index, and whether another look would not show more."""
        index = Index(self.name)
        try:
            index = self._ask(lambda client: Index.read(client, self.name, {"indexArn": self._arn}), deadline)
            return self._ask(index.with_model, deadline), True
        except Exception as error:
            if error_name(error) == "NotFoundException":
                raise self._failure(error) from error
            telemetry.log("index_not_described", index=self.name, error=error_name(error))
            return index, error_name(error) == DENIED

    def _ask[Answer](self, call: Callable[[Client], Answer], deadline: float) -> Answer:
        """Return what a call returns, or raise what it raises; never wait longer than the deadline.

        The timeouts of a client do not bound everything: a name can be looked up, or a response arrive byte by byte, for longer.

        Raises:
            TimeoutError: the call had not ended at the deadline.
            Backend: there is no time for a call.
        """
        return self._threads.submit(call, self._client(deadline)).result(deadline - time.monotonic())

    def _client(self, deadline: float) -> Client:
        """Return a client whose calls end before the deadline.

        Raises:
            Backend: there is no time for a call.
        """
        left = deadline - time.monotonic()
        for attempts, seconds in PATIENCE:
            if attempts * (CONNECT_SECONDS + seconds) + (attempts - 1) * PAUSE_SECONDS <= left:
                with self._connecting:
                    if (attempts, seconds) not in self._clients:
                        self._clients[attempts, seconds] = self._connect(
                            "s3vectors", read_seconds=seconds, attempts=attempts, region=self._region
                        )
                return self._clients[attempts, seconds]
        msg = f"The time is over before the index {self.name} could be asked: send the request again"
        raise Backend(msg)

    def _failure(self, error: Exception, *, has_conditions: bool = False) -> EmbeddingError:
        """Return the error that the caller sees for an error of S3 Vectors, of botocore, or in a broken response."""
        name = error_name(error)
        telemetry.log("index_not_asked", index=self.name, error=name)
        if name == "ValidationException" and has_conditions:
            return Validation(FILTER_REFUSED)
        return Backend(f"The index {self.name} {REASONS.get(name, NO_ANSWER).format(name)}")


FILTER_REFUSED = (
    "`filter` is refused by S3 Vectors: it takes the operators $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $and and $or, "
    "on metadata that is filterable (the text of a passage is not)"
)
REASONS = {
    DENIED: "refuses the query ({}): the function needs s3vectors:QueryVectors, and for a filter or metadata s3vectors:GetVectors",
    "NotFoundException": "does not exist ({}): set SearchIndexArn to the ARN of an index",
    "ValidationException": "refuses the query ({})",
}
"""The ends of sentences by AWS's names of errors."""
NO_ANSWER = "did not answer ({}): send the request again"


def _matches(vectors: Sequence[Mapping[str, Any]], name: str, metric: str) -> list[Match]:
    """Read the vectors of a response. The distance of an index that compares by cosine is one minus the cosine.

    Raises:
        Backend: the index compares by another distance, and the function may not read its properties before a search.
    """
    if fault := find_metric_fault(name, metric):
        raise Backend(fault)
    return [Match(vector["key"], np.float32(1 - vector["distance"]), vector.get("metadata") or {}) for vector in vectors]
