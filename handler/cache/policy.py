"""Decide which texts use the table: a short text is cheaper to encode again than to look up and store (see cost.py)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The setting CACHE_MIN_TOKENS. With 0, every text uses the table."""

    min_tokens: int = 0

    def uses_table(self, tokens: int) -> bool:
        """Return whether a text of this many tokens is looked up and stored."""
        return tokens >= self.min_tokens
