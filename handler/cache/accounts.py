"""What each request's use of the table came to: counts, bytes and dollars, for CloudWatch."""

from dataclasses import dataclass

from handler import telemetry
from handler.cache.cost import CostModel


@dataclass(slots=True)
class Account:
    """One request's use of the cache. Texts are counted once, however often they stand in the request."""

    hits: int = 0
    misses: int = 0
    skipped: int = 0
    errors: int = 0
    damaged: int = 0
    rows_asked: int = 0
    rows_stored: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    hit_tokens: int = 0
    encoded_tokens: int = 0
    encoding_seconds: float = 0.0
    waiting_seconds: float = 0.0


class Accounts:
    """Prices requests at the speed that this process encodes at."""

    def __init__(self, cost: CostModel, table: str) -> None:
        """Price by `cost`; `table` names the metrics' dimension."""
        self._cost = cost
        self._table = table
        # Until something was encoded here, a typical text on the model that is known.
        self._tokens = 100
        self._seconds = cost.encoding_seconds(self._tokens)

    def settle(self, account: Account) -> None:
        """Write one request's metrics."""
        self._tokens += account.encoded_tokens
        self._seconds += account.encoding_seconds
        telemetry.measure(
            {
                "CacheHits": account.hits,
                "CacheMisses": account.misses,
                "CacheSkipped": account.skipped,
                "CacheErrors": account.errors + account.damaged,
                "CacheBytesRead": account.bytes_read,
                "CacheBytesWritten": account.bytes_written,
                "CacheDollarsSaved": self._dollars(account),
            },
            {"CacheTable": self._table},
        )

    def _dollars(self, account: Account) -> float:
        saved_seconds = account.hit_tokens * self._seconds / self._tokens
        units = account.rows_asked * self._cost.read + account.rows_stored * self._cost.write
        return self._cost.time(saved_seconds - account.waiting_seconds) - units


def unaccounted(account: Account) -> None:
    """Where there is no table there is nothing to account for."""
    del account
