"""An encoder that refuses, before it starts, texts that it cannot encode before the deadline.

It predicts the time from the speed of this process: tokens a second of the calls before, of which later ones count more. A call of
few tokens does not count, because its time is that of waking threads and of reading weights for the first time. Until a larger call
was measured nothing is refused: no speed is known that holds for every model, processor and memory size, and a text that is encoded
before the deadline strikes is cached.

A refusal halves what is known, and less than LEAST_TOKENS is forgotten. So a speed that was measured too low (another process took
the processor) refuses a few requests, and then the next one is tried and measured.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Protocol

from handler.errors import OutOfTime, TooLarge
from handler.vectors import NEVER, TokenIds, Vectors

LEAST_TOKENS = 1024
"""The fewest tokens of a call that is measured, and of all that is known when a request is refused."""
SHARE = 0.8
"""The share of the time left that the largest batch in a refusal is predicted to take. The rest is for speeds that vary."""


class SentenceEncoder(Protocol):
    """An encoder of token ids as vectors; encoder.py has the real one."""

    hidden: int
    kernels: str

    def encode(self, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int) -> Vectors:
        """Return pooled vectors (sequences, dimension); the first `prompt_tokens` of each sequence belong to the prompt."""
        ...

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float) -> list[Vectors]:
        """Return vectors (tokens, hidden) of each sequence."""
        ...


class PacedEncoder:
    """Encodes as `encoder` does, unless the time left is predicted to be too short. `clock` is the deadlines' clock."""

    def __init__(self, encoder: SentenceEncoder, clock: Callable[[], float] = time.monotonic) -> None:
        self.hidden, self.kernels = encoder.hidden, encoder.kernels
        self._encoder = encoder
        self._pace = Pace(clock)

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        """Return pooled vectors (sequences, dimension); the first `prompt_tokens` of each sequence belong to the prompt.

        Raises:
            TooLarge: more time is needed than is left, as predicted; the sentence has the largest batch that fits.
            OutOfTime, Unembeddable: for the same reasons as Encoder.encode.
        """
        lengths = [len(sequence) for sequence in sequences]
        return self._pace.keep(lengths, deadline, lambda: self._encoder.encode(sequences, deadline, prompt_tokens))

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """Return vectors (tokens, hidden) of each sequence.

        Raises:
            TooLarge, OutOfTime, Unembeddable: for the same reasons as `encode`.
        """
        lengths = [len(sequence) for sequence in sequences]
        return self._pace.keep(lengths, deadline, lambda: self._encoder.encode_tokens(sequences, deadline))


class Pace:
    """The speed of one model in this process. `clock` is the deadlines' clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._measured = (0.0, 0.0)  # tokens and their seconds: one tuple, so that no other thread sees one without the other

    def keep[V](self, lengths: Sequence[int], deadline: float, work: Callable[[], V]) -> V:
        """Do the work on sequences of these lengths, in tokens, and measure it.

        Raises:
            TooLarge: more time is needed than is left, as predicted; the sentence has the largest batch that fits.
            EmbeddingError: for the same reasons as the work.
        """
        started = self._clock()
        self._check(lengths, deadline - started)
        try:
            result = work()
        except OutOfTime as error:
            self._measure(sum(lengths[place] for place in error.done), started)
            raise
        self._measure(sum(lengths), started)
        return result

    def _check(self, lengths: Sequence[int], left: float) -> None:
        tokens, seconds = self._measured
        needed = sum(lengths)
        # One text cannot be sent in smaller batches. After the deadline, the encoder says so in its own words.
        if tokens < LEAST_TOKENS or len(lengths) == 1 or left <= 0 or needed * seconds <= left * tokens:
            return
        self._measured = (tokens / 2, seconds / 2)
        room = SHARE * left * tokens / seconds
        # The longest first, so that any texts of this number fit.
        fitting = bisect_right(list(accumulate(sorted(lengths, reverse=True))), room)
        msg = (
            f"{len(lengths)} inputs of {needed} tokens would take about {needed * seconds / tokens:.1f} s > {left:.1f} s, "
            f"the time left: send at most {max(fitting, 1)} inputs at a time"
        )
        raise TooLarge(msg)

    def _measure(self, tokens: int, started: float) -> None:
        if tokens >= LEAST_TOKENS:
            before, seconds = self._measured if self._measured[0] >= LEAST_TOKENS else (0.0, 0.0)
            self._measured = (before / 2 + tokens, seconds / 2 + self._clock() - started)
