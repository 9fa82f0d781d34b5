"""The limits of a call of the tokenizer: the time that it may take, and the characters that it may read.

Law: knows no tokenizer.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping

from handler.errors import TooLarge, Validation

BATCH_CHARACTERS = 1 << 16
"""About this many characters are tokenized between two checks of the deadline. Each of their tokens takes some hundred bytes."""
FAIR_CHARACTERS = 16
"""The characters of each text that may be tokenized, for each token that the model takes. No language needs that many."""
EXCESS_CHARACTERS = 1 << 20
"""The characters that may be tokenized beyond FAIR_CHARACTERS, summed over all texts of a call."""


class TokenizationLimits:
    """The time and the characters that are left to one call of the tokenizer."""

    def __init__(self, texts: int, deadline: float, fair_characters: int) -> None:
        """Begin to count time and characters.

        Args:
            texts: the number of texts.
            deadline: the reading of time.monotonic() after which nothing more is tokenized.
            fair_characters: the characters that may be read of each text; more of them are limited, summed over all texts.
        """
        self._texts = texts
        self._deadline = deadline
        self._started = time.monotonic()
        self._fair = fair_characters
        self._read: Counter[int] = Counter()
        self._excess = 0

    def check_deadline(self, done: int) -> None:
        """Raise TooLarge after the deadline. `done` is the number of texts that are tokenized."""
        now = time.monotonic()
        if now > self._deadline:
            msg = (
                f"the time ran out: {done} of {self._texts} inputs were tokenized in {now - self._started:.1f} s, "
                "send fewer or shorter ones at a time"
            )
            raise TooLarge(msg)

    def add_characters(self, index: int, characters: int) -> None:
        """Count characters that are read of one text. Raise Validation if the texts of the call need too many."""
        before = self._read[index]
        self._read[index] += characters
        self._excess += max(0, self._read[index] - self._fair) - max(0, before - self._fair)
        if self._excess > EXCESS_CHARACTERS and self._texts > 1:
            # Not TooLarge: the pipeline would retry the same records for ever. One by one, they may fit.
            msg = (
                f"The texts cannot be truncated: more than {EXCESS_CHARACTERS} characters would have to be read beyond the first "
                f"{self._fair} of each text, which are enough in any language. Send fewer texts at a time, or shorter ones"
            )
            raise Validation(msg)


def split_into_batches(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield batches of texts, as lists of their indices. `sizes` has the number of characters of each text."""
    batch: list[int] = []
    total = 0
    for index, size in sizes.items():
        if batch and total + size > BATCH_CHARACTERS:
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += size
    if batch:
        yield batch
