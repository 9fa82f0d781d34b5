"""What the table costs and what it saves, in dollars: Lambda's time on the one side, DynamoDB's units on the other.

A text is worth looking up if, at the rate at which texts come again, the encoding it saves costs more than the read, the wait
for it and the writes of those that were not there. For short texts and a small model it does not.
"""

from dataclasses import dataclass

from handler.config import MEMORY_PER_VCPU_MB
from handler.prices import X86_64, Prices

ATTRIBUTES_BYTES = 52
"""Of an item beside its row: the names `key`, `row` and `expires`, a digest and a time."""
READ_UNIT_BYTES, WRITE_UNIT_BYTES = 4096, 1024


@dataclass(frozen=True, slots=True)
class Speed:
    """A model on one vCPU: milliseconds for a text are `fixed_ms` and `token_ms` for each token."""

    fixed_ms: float
    token_ms: float


ALL_MINILM_INT8 = Speed(fixed_ms=0.5, token_ms=0.22)
"""Rounded for a processor with AVX2, which Lambda has on x86_64: `python -m tests.benchmarks encoder`, 1 thread."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """One deployment: its memory, the bytes of a row with all attributes, and milliseconds that a look-up keeps a text waiting."""

    memory_mb: int
    row_bytes: int
    speed: Speed = ALL_MINILM_INT8
    wait_ms: float = 5.0
    prices: Prices = X86_64

    def time(self, seconds: float) -> float:
        """What the function costs for so long."""
        return seconds * self.memory_mb / 1024 * self.prices.gigabyte_second

    def encoding(self, tokens: int) -> float:
        """What encoding a text costs."""
        return self.time(self.encoding_seconds(tokens))

    def encoding_seconds(self, tokens: int) -> float:
        """How long that takes. A text runs on one thread: memory beyond one vCPU buys it nothing, less slows it down."""
        slowdown = max(1.0, MEMORY_PER_VCPU_MB / self.memory_mb)
        return (self.speed.fixed_ms + self.speed.token_ms * tokens) / 1000 * slowdown

    @property
    def read(self) -> float:
        """What reading a row costs in units; asking for one that is not there costs a unit too."""
        return -(-self.row_bytes // READ_UNIT_BYTES) * self.prices.read_unit

    @property
    def write(self) -> float:
        """What writing a row costs in units."""
        return -(-self.row_bytes // WRITE_UNIT_BYTES) * self.prices.write_unit

    def saved(self, tokens: int, hit_rate: float) -> float:
        """What the table saves on a text of so many tokens, on average; below 0 it is a loss."""
        return hit_rate * self.encoding(tokens) - self.read - self.time(self.wait_ms / 1000) - (1 - hit_rate) * self.write

    def break_even(self, tokens: int) -> float:
        """The hit rate from which on the table saves money on such texts; above 1, it never does."""
        return (self.read + self.time(self.wait_ms / 1000) + self.write) / (self.encoding(tokens) + self.write)

    def min_tokens(self, hit_rate: float, longest: int) -> int | None:
        """The CACHE_MIN_TOKENS to set; None if no text of at most `longest` tokens is worth it."""
        return next((tokens for tokens in range(1, longest + 1) if self.saved(tokens, hit_rate) > 0), None)
