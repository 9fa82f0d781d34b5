"""Two texts to the tokens of the pair, truncated to the model's limit as tokenizers truncate pairs ("longest first").

The longer text is truncated first, down to the length of the shorter one; then both, to halves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from handler.embedding.input_checks import check_whole
from handler.embedding.manifest import TOKENIZER
from handler.embedding.tokenization import Tokenization, Tokens
from handler.embedding.tokenization_limits import BATCH_CHARACTERS
from handler.errors import Backend
from handler.vectors import NEVER, Direction, PairTokens, TokenIds

LEAST_ROOM = 2
"""The fewest tokens of texts that a pair must have room for: one of each text."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The tokens that are kept of a pair, and the number of its tokens. For very long texts, that is a lower bound."""

    tokens: PairTokens
    total: int
    is_lower_bound: bool

    def __len__(self) -> int:
        """Return the number of kept tokens."""
        return self.tokens.shape[1]

    @property
    def truncated(self) -> bool:
        """True if tokens were dropped."""
        return len(self) < self.total


@dataclass(frozen=True, slots=True)
class _Template:
    """The special tokens before, between and after two texts, each as ids and types (2, tokens), and the types of the texts."""

    before: PairTokens
    between: PairTokens
    after: PairTokens
    types: tuple[int, int]

    @property
    def special(self) -> int:
        """The number of special tokens."""
        return sum(part.shape[1] for part in (self.before, self.between, self.after))

    def filled(self, first: TokenIds, second: TokenIds) -> PairTokens:
        """Return the tokens of a pair of texts."""
        one, two = (np.stack([ids, np.full_like(ids, kind)]) for ids, kind in zip((first, second), self.types, strict=True))
        return np.concatenate([self.before, one, self.between, two, self.after], axis=1)

    @classmethod
    def of(cls, tokenization: Tokenization) -> Self:
        """Find the special tokens that the tokenizer puts around two texts.

        Raises:
            Backend: the tokenizer does not put both texts into one sequence, one after the other.
        """
        encoding = tokenization.encoded_pair()
        tokens = np.array([encoding.ids, encoding.type_ids], dtype=np.int64)
        texts = [[place for place, text in enumerate(encoding.sequence_ids) if text == each] for each in (0, 1)]
        if not all(texts) or texts[0][-1] >= texts[1][0]:
            msg = f"The model file {TOKENIZER} does not say how two texts become one sequence: a cross-encoder's does"
            raise Backend(msg)
        (start, end), (begin, stop) = ((places[0], places[-1] + 1) for places in texts)
        types = int(tokens[1, start]), int(tokens[1, begin])
        return cls(tokens[:, :start], tokens[:, end:begin], tokens[:, stop:], types)


class PairTokenization:
    """A cross-encoder's tokenizer: it puts special tokens before, between and after two texts."""

    def __init__(self, tokenization: Tokenization) -> None:
        """Find the special tokens of pairs.

        Raises:
            Backend: the model's limit leaves no room for texts.
        """
        self._tokenization = tokenization
        self.max_length = tokenization.max_length
        self._template = _Template.of(tokenization)
        self._room = self.max_length - self._template.special
        if self._room < LEAST_ROOM:
            msg = f"a pair has {self._template.special} special tokens, and the model takes {self.max_length} tokens: it needs more"
            raise Backend(msg)

    def tokenize(
        self,
        query: str,
        documents: Sequence[str],
        direction: Direction,
        deadline: float = NEVER,
        places: Sequence[int] | None = None,
        *,
        truncate: bool = True,
    ) -> list[Pair]:
        """Return the tokens of each pair of the query and a document, at most `max_length` of each pair.

        Args:
            query: the first text of each pair.
            documents: the second text of each pair.
            direction: the end at which a long text is truncated.
            deadline: the reading of time.monotonic() after which nothing more is tokenized.
            places: the index by which the client knows each document; its index in `documents` by default.
            truncate: False if longer pairs are refused.

        Raises:
            EmbeddingError: for the same reasons as Tokenization.tokenize. The place of a refused text is 0 for the query, and one
                more than its index for a document.
            RefusedText: the query alone or a pair has more tokens, and `truncate` is False.
        """
        of_documents = [1 + place for place in (range(len(documents)) if places is None else places)]
        first, *others = self._tokenization.tokenize([query, *documents], direction, deadline, [0, *of_documents])
        pairs = [self._pair((query, first), (text, tokens), direction) for text, tokens in zip(documents, others, strict=True)]
        if not truncate:
            check_whole([first], self.max_length, [0])
            check_whole(pairs, self.max_length, of_documents, "{} with the query")
        return pairs

    def _pair(self, query: tuple[str, Tokens], document: tuple[str, Tokens], direction: Direction) -> Pair:
        first, second = (self._tokenization.body(tokens) for _, tokens in (query, document))
        around = self._tokenization.special
        totals = [tokens.total - around for _, tokens in (query, document)]
        if min(totals) > self._room and max(len(query[0]), len(document[0])) <= BATCH_CHARACTERS:
            # Only here it matters which text has more tokens: it gets the odd one. Of longer texts, lower bounds decide.
            totals = [self._tokenization.count(text) - around for text, _ in (query, document)]
        sizes = kept(totals[0], totals[1], self._room)
        texts = [_end(ids, size, direction) for ids, size in zip((first, second), sizes, strict=True)]
        bound = query[1].is_lower_bound or document[1].is_lower_bound
        return Pair(self._template.filled(*texts), sum(totals) + self._template.special, bound)


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens are kept of texts with `first` and `second` tokens, if a pair has room for `room`."""
    if first + second <= room:
        return first, second
    shorter = min(first, second) if 2 * min(first, second) <= room else room // 2
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def _end(ids: TokenIds, size: int, direction: Direction) -> TokenIds:
    """Return `size` tokens from the end that is kept."""
    return ids[:size] if direction == "right" else ids[len(ids) - size :]
