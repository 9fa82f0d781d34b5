"""The dollars that the table costs and saves: DynamoDB's units against Lambda's time.

A look-up saves money if the encoding that it avoids costs more than the read, the time that the function waits for the read, and
the writes after misses. The saving depends on the hit rate. For short texts and a small model, look-ups cost more than they save.
"""

from dataclasses import dataclass

from handler.config import MEMORY_PER_VCPU_MB
from handler.prices import X86_64, Prices

ATTRIBUTES_BYTES = 52
"""The bytes of an item without its row: the names `key`, `row` and `expires`, a digest and a time."""
READ_UNIT_BYTES, WRITE_UNIT_BYTES = 4096, 1024


@dataclass(frozen=True, slots=True)
class Speed:
    """A model's speed on one vCPU: a text takes `fixed_ms` milliseconds, and `token_ms` more for each token."""

    fixed_ms: float
    token_ms: float


ALL_MINILM_INT8 = Speed(fixed_ms=0.5, token_ms=0.22)
"""Rounded, for AVX2, which every x86_64 processor of Lambda has: `python -m tests.benchmarks encoder`, 1 thread."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """One deployment: its memory, the bytes of an item of the table, and the milliseconds for which a look-up makes a text wait."""

    memory_mb: int
    row_bytes: int
    speed: Speed = ALL_MINILM_INT8
    wait_ms: float = 5.0
    prices: Prices = X86_64

    def time(self, seconds: float) -> float:
        """Return the dollars that the function costs for this time."""
        return seconds * self.memory_mb / 1024 * self.prices.gigabyte_second

    def encoding(self, tokens: int) -> float:
        """Return the dollars that encoding a text of this many tokens costs."""
        return self.time(self.encoding_seconds(tokens))

    def encoding_seconds(self, tokens: int) -> float:
        """Return the seconds that encoding a text takes. A text uses one vCPU at most, and less if the function has less memory."""
        slowdown = max(1.0, MEMORY_PER_VCPU_MB / self.memory_mb)
        return (self.speed.fixed_ms + self.speed.token_ms * tokens) / 1000 * slowdown

    @property
    def read(self) -> float:
        """The dollars that reading a row costs. Reading a row that does not exist costs a unit too."""
        return -(-self.row_bytes // READ_UNIT_BYTES) * self.prices.read_unit

    @property
    def write(self) -> float:
        """The dollars that writing a row costs."""
        return -(-self.row_bytes // WRITE_UNIT_BYTES) * self.prices.write_unit

    def saved(self, tokens: int, hit_rate: float) -> float:
        """Return the dollars that the table saves on average for a text of this many tokens; a loss is negative."""
        return hit_rate * self.encoding(tokens) - self.read - self.time(self.wait_ms / 1000) - (1 - hit_rate) * self.write

    def break_even(self, tokens: int) -> float:
        """Return the hit rate above which the table saves money for such texts; if it is above 1, the table never does."""
        return (self.read + self.time(self.wait_ms / 1000) + self.write) / (self.encoding(tokens) + self.write)

    def min_tokens(self, hit_rate: float, longest: int) -> int | None:
        """Return the best value of CACHE_MIN_TOKENS; None if the table saves nothing for any text of at most `longest` tokens."""
        return next((tokens for tokens in range(1, longest + 1) if self.saved(tokens, hit_rate) > 0), None)
