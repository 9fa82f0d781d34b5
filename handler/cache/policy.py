"""Which texts the table is for: a short text is cheaper to encode again than to look up and store (cost.py counts)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The owner's decision. 0 sends every text to the table."""

    min_tokens: int = 0

    def worth_it(self, tokens: int) -> bool:
        """Whether a text of so many tokens is looked up and stored."""
        return tokens >= self.min_tokens
