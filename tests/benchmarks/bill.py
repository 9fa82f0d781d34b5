"""Dollars for a month of requests, and for a corpus in bulk."""

from dataclasses import dataclass

from handler.cache.cost import CostModel
from handler.config import MEMORY_PER_VCPU_MB
from handler.prices import ARCHITECTURES, Prices

from .speeds import Measured
from .template import default

ROW_BYTES, ITEM_BYTES = 829, 929
"""A vector of 384 numbers with its attributes as DynamoDB counts units, and as it counts storage: 100 bytes more an item."""
LOG_BYTES = 2000
"""The bytes of an invocation's log: our line, the cache's metrics, the platform's start and report."""
WAIT_MS = 5.0
"""The time of a look-up, and of a write after the response. It is assumed: only an account could show it."""
MILLION = 1_000_000
EFFICIENCY = 0.9
"""The share of the encoder's own throughput that a batch of records reaches at least (`python -m tests.benchmarks pipeline`)."""
EXPRESS_GIGABYTES = 64 / 1024
"""The memory that a child workflow is billed for during its call. Its start is counted as a state transition; AWS may not do so."""


@dataclass(frozen=True, slots=True)
class Load:
    """A month of equal requests, and the function that serves them."""

    requests: int
    texts: int
    tokens: int
    hit_rate: float
    cold_share: float
    memory_mb: int
    architecture: str
    table: bool = True

    @property
    def prices(self) -> Prices:
        """Return the prices of its architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def gigabytes(self) -> float:
        """Return the memory in GB, as it is billed."""
        return self.memory_mb / 1024

    @property
    def all_texts(self) -> int:
        """Return the number of texts per month."""
        return self.requests * self.texts

    @property
    def slowdown(self) -> float:
        """Return the vCPUs; less memory than that of one vCPU gives a share of it."""
        return max(1.0, MEMORY_PER_VCPU_MB / self.memory_mb)

    @property
    def threads(self) -> int:
        """Return how many texts are encoded at the same time."""
        return max(1, self.memory_mb // MEMORY_PER_VCPU_MB)


def bill(load: Load, measured: Measured) -> dict[str, float]:
    """Return dollars per month for each kind of cost."""
    prices = load.prices
    hit_rate = load.hit_rate if load.table else 0.0
    encoded = load.texts * (1 - hit_rate)
    warm_ms = measured.overhead_ms * load.slowdown
    warm_ms += encoded * measured.encoding_ms(load.tokens) * load.slowdown / min(load.threads, load.texts)
    if load.table:
        warm_ms += WAIT_MS * (1 + min(1.0, encoded))
    second = load.gigabytes * prices.gigabyte_second
    paid = {
        "Lambda, answering": load.requests * warm_ms / 1000 * second,
        "Lambda, cold starts": load.requests * load.cold_share * measured.cold_ms * load.slowdown / 1000 * second,
        "Lambda, requests": load.requests * prices.lambda_request,
        "HTTP API, requests": load.requests * prices.http_api_request,
        "CloudWatch, log lines": load.requests * LOG_BYTES / 1e9 * prices.log_gigabyte,
        "Secrets Manager, the key": prices.secret_month,
    }
    if load.table:
        cache = CostModel(load.memory_mb, ROW_BYTES, prices=prices)
        paid["DynamoDB, look-ups"] = load.all_texts * cache.read
        paid["DynamoDB, rows written"] = load.all_texts * (1 - hit_rate) * cache.write
        paid["DynamoDB, rows kept 30 days"] = load.all_texts * (1 - hit_rate) * ITEM_BYTES / 1e9 * prices.table_gigabyte_month
    return paid


def bulk_rate(load: Load, measured: Measured) -> float:
    """Return the texts per second of one function."""
    return 1000 / (measured.encoding_ms(load.tokens) * load.slowdown / load.threads) * EFFICIENCY


def bulk_dollars(load: Load, measured: Measured, passages: int) -> float:
    """Return dollars for passages that the state machine embeds.

    They are items of a Distributed Map in batches, each an express child with one call and one shard. Receipts are a few files
    in all.
    """
    prices, batches = load.prices, -(-passages // default("BulkBatchSize"))
    seconds = passages / bulk_rate(load, measured)
    dollars = seconds * (load.gigabytes * prices.gigabyte_second + EXPRESS_GIGABYTES * prices.express_gigabyte_second)
    return dollars + batches * (prices.lambda_request + prices.express_request + prices.state_transition + prices.put_object)
