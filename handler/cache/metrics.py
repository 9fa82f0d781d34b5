"""Metrics of each request's use of the cache: counts, bytes and dollars, for CloudWatch."""

from dataclasses import dataclass

from handler import telemetry
from handler.cache.cost import CostModel


@dataclass(slots=True)
class Usage:
    """The counts of one request's use of the cache. A text that occurs several times in the request counts once."""

    hits: int = 0
    misses: int = 0
    skipped: int = 0
    errors: int = 0
    damaged: int = 0
    rows_requested: int = 0
    rows_stored: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    hit_tokens: int = 0
    encoded_tokens: int = 0
    encoding_seconds: float = 0.0
    waiting_seconds: float = 0.0


class UsageMetrics:
    """Writes the metrics of requests. Saved time is priced at the speed with which this process encodes."""

    def __init__(self, cost: CostModel, table: str) -> None:
        """Compute dollars with `cost`. `table` is the value of the metrics' dimension."""
        self._cost = cost
        self._table = table
        # Until this process has encoded a text, assume a typical text and the default model.
        self._tokens = 100
        self._seconds = cost.encoding_seconds(self._tokens)

    def write(self, usage: Usage) -> None:
        """Write the metrics of one request."""
        self._tokens += usage.encoded_tokens
        self._seconds += usage.encoding_seconds
        telemetry.measure(
            {
                "CacheHits": usage.hits,
                "CacheMisses": usage.misses,
                "CacheSkipped": usage.skipped,
                "CacheErrors": usage.errors + usage.damaged,
                "CacheBytesRead": usage.bytes_read,
                "CacheBytesWritten": usage.bytes_written,
                "CacheDollarsSaved": self._dollars(usage),
            },
            {"CacheTable": self._table},
        )

    def _dollars(self, usage: Usage) -> float:
        saved_seconds = usage.hit_tokens * self._seconds / self._tokens
        units = usage.rows_requested * self._cost.read + usage.rows_stored * self._cost.write
        return self._cost.time(saved_seconds - usage.waiting_seconds) - units


def ignore(usage: Usage) -> None:
    """Write no metrics, for a deployment without a table."""
    del usage
