"""The least time of an operator: for its multiply-adds in registers, or for the bytes that it reads, whichever takes longer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import bounds
from .bounds import CHAINED, STEPS, Level, Mix

HIDDEN = 384
"""The numbers of a token in the default model."""
FLOAT = 4
"""Bytes of a number."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Measurements of the same rounds: seconds of the clock's chain, of each mix and of each level."""

    seconds: Mapping[str, float]
    mixes: Sequence[Mix]
    levels: Sequence[Level]

    @property
    def gigahertz(self) -> float:
        """The clock."""
        return STEPS * CHAINED / self.seconds[bounds.CHAIN] / 1e9

    def macs(self, mix: Mix) -> float:
        """Thousand millions of multiply-adds a second."""
        return STEPS * mix.macs / self.seconds[mix.name] / 1e9

    def reads(self, level: Level) -> float:
        """Gigabytes a second."""
        return level.read * level.times / self.seconds[level.name] / 1e9

    def reading(self, read: float, resident: float) -> tuple[float, str]:
        """Return the least microseconds that reading takes, of data of which as much as fits lies in the nearest levels.

        The level that it is named for is the nearest that holds all of it.
        """
        seconds, nearer = 0.0, 0.0
        for level in self.levels:
            share = (min(resident, level.holds) - min(resident, nearer)) / resident
            seconds += share * read / self.reads(level) / 1e9
            nearer = level.holds
            if resident <= nearer:
                return seconds * 1e6, f"reading {level.name}"
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Work:
    """The least work of an operator: multiply-adds of a mix, and bytes read out of `resident` bytes."""

    macs: float
    mix: Mix | None
    read: float
    resident: float

    def microseconds(self, found: Bounds) -> tuple[float, str]:
        """Return the bound, and what makes it."""
        multiplying = (self.macs / found.macs(self.mix) / 1e3 if self.mix else 0.0, "multiplying")
        return max(found.reading(self.read, self.resident), multiplying) if self.read else multiplying


def linear_work(rows: int, inputs: int, outputs: int, resident: float = 0) -> Work:
    """A linear layer reads each weight once; they stay where they are, or where all that is `resident` does."""
    weights = inputs * outputs
    touched = weights + rows * (inputs + outputs) * FLOAT
    return Work(rows * weights, bounds.int8_bound(), weights, max(resident, touched))


def attention_work(tokens: int, hidden: int = HIDDEN, window: int = 0, *, causal: bool = False) -> Work:
    """Scores and sums of values, for the keys that are seen; the exponentials between them come on top."""
    after = 0 if causal else window or tokens
    seen = sum(min(query, window or tokens) + 1 + min(tokens - 1 - query, after) for query in range(tokens))
    return Work(2 * seen * hidden, bounds.float_bound(), 0, 0)


def moving_work(numbers: int) -> Work:
    """An operator that reads and writes so many numbers, for both of which the bandwidth of reading is taken."""
    return Work(0, None, numbers * FLOAT, numbers * FLOAT)


def add_norm_work(rows: int) -> Work:
    """Two inputs are read and one result is written."""
    return moving_work(3 * rows * HIDDEN)


def product_work(rows: int, inputs: int, outputs: int) -> Work:
    """A linear layer in float32 reads each weight once."""
    weights = inputs * outputs * FLOAT
    return Work(rows * inputs * outputs, bounds.float_bound(), weights, weights)
