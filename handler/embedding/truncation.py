"""Truncation of long texts, of which only the part that decides the kept tokens is tokenized.

As tokens, a text of six megabytes would take gigabytes of memory, nearly all of them for tokens that are dropped. So only a window
at the end that is kept is tokenized, and a larger window if that is not enough. A token of a window is trusted if it is certainly a
token of the whole text. That is the case for these tokens:

- Pre-tokenizers read from left to right and look ahead only a few characters. So each word that ends well before the end of the
  window is a word of the whole text, and the text after a word does not change its tokens.
- At the start of a window, that holds only after a place where the pre-tokenizer always splits. BERT's looks at single characters
  and splits everywhere; most others split between a letter and a blank or a punctuation mark.
- Inside one long word, BPE and Unigram decide the tokens up to a token boundary independently of what follows it: no merge crosses
  the boundary, and the best path to it is a part of the best path. No token is longer than the longest of the vocabulary, so each
  stretch of that length contains a boundary. If all beginnings of the text that end in such a stretch have the same first tokens,
  the whole text has them too.

Law: knows tokenizers; knows nothing of time limits and of how tokens are used.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Encoding, Tokenizer, models, pre_tokenizers

from handler.vectors import Direction

FIRST_CHARACTERS = 2
"""The characters of the first window for each token that is kept. That is enough for punctuation marks and for Chinese."""
GROWTH = 4
"""The most by which a window is larger than the one before. Prose, with 4 to 6 characters a token, needs one larger window."""
MARGIN_CHARACTERS = 64
"""No token within this distance of a window's end is trusted. Pre-tokenizers look ahead less; an added token may be split."""
MOST_CHARACTERS = 1 << 18
"""The largest window, unless a model takes more than 8,192 tokens. Emoji take most: 1 s and 90 MB."""
MOST_CHARACTERS_PER_TOKEN = 32
SPLITTING = " ,.;:!?\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f"
"""Characters before which most pre-tokenizers end a word, whatever follows."""
PLAIN_LENGTH = 1
"""The length of a character after NFKC, unless it stands for several characters."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The ids of the kept tokens, including special tokens, and a lower bound of the number of tokens of the whole text."""

    ids: list[int]
    least_total: int


class Truncator:
    """Finds the tokens that are kept of a long text, at most `max_length`, by tokenizing windows of the text."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        """Find the places at which this tokenizer splits texts in every context."""
        self._tokenizer = tokenizer
        added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._margin = MARGIN_CHARACTERS + max(map(len, added), default=0)
        self._body = max(0, max_length - len(tokenizer.encode("").ids))
        self.first_size = FIRST_CHARACTERS * max_length + self._margin
        self.largest_size = max(MOST_CHARACTERS, MOST_CHARACTERS_PER_TOKEN * max_length)
        self._splits_anywhere = isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        splitting = [character for character in SPLITTING if self._splits_before(character)]
        self._split = re.compile(f"[^\\W\\d_](?=[{re.escape(''.join(splitting))}])") if splitting else None

    @cached_property
    def longest_token(self) -> int:
        """The characters of the longest token; 0 for WordPiece, which replaces a word that is too long by one unknown token.

        It is computed at first use: with 250,000 tokens that takes a tenth of a second, which would prolong a cold start.
        """
        if isinstance(self._tokenizer.model, models.WordPiece | models.WordLevel):
            return 0
        return max(map(len, self._tokenizer.get_vocab()))

    @cached_property
    def rereads(self) -> int:
        """The number of times that the window of a usual text is tokenized.

        With Unigram it is many times, for long words in scripts that are written without blanks.
        """
        return self.longest_token + 1 if isinstance(self._tokenizer.model, models.Unigram) else 1

    def next_size(self, size: int, trusted: int) -> int:
        """Return the size of the next window, after a window of `size` characters in which `trusted` tokens are trusted."""
        wanted = size * (self._body + 1) * 5 // (4 * trusted) if trusted else GROWTH * size
        return min(max(wanted, 2 * size), GROWTH * size)

    def kept(self, encoding: Encoding, part: str, direction: Direction) -> Kept | int:
        """Return the kept tokens of a text from the encoding of a window; if too few are trusted, return their number."""
        trusted = self._trusted_head(encoding, part) if direction == "right" else self._trusted_tail(encoding, part)
        if len(trusted) <= self._body:
            return len(trusted)
        kept = trusted[: self._body] if direction == "right" else trusted[len(trusted) - self._body :]
        special = encoding.special_tokens_mask
        around = [token for token, is_special in zip(encoding.ids, special, strict=True) if is_special]
        before = special.index(0)
        return Kept([*around[:before], *kept, *around[before:]], len(around) + len(trusted))

    def kept_of_long_word(self, text: str, size: int) -> Kept | None:
        """Return the first tokens of a text whose window is one long word; None if the text after the window may change them."""
        stretch = self.longest_token
        if not stretch or stretch >= size or size * stretch > self.largest_size:
            return None
        if not all(map(_is_plain, text[size - stretch - 1 : size])):
            return None
        encodings = self._tokenizer.encode_batch_fast([text[:end] for end in range(size - stretch, size + 1)])
        heads = {tuple(_body(encoding)[: self._body + 1]) for encoding in encodings}
        if len(heads) > 1 or len(next(iter(heads))) <= self._body:
            return None
        last = encodings[-1]
        before = last.special_tokens_mask.index(0)
        around = [token for token, is_special in zip(last.ids, last.special_tokens_mask, strict=True) if is_special]
        return Kept([*around[:before], *next(iter(heads))[: self._body], *around[before:]], len(around) + self._body + 1)

    def _trusted_head(self, encoding: Encoding, part: str) -> list[int]:
        """Return the tokens of all words that end before the margin, which characters without a token of their own enlarge."""
        end = len(part) - self._margin
        while end > 0 and _is_absorbed(part[end - 1]):
            end -= 1
        words = encoding.word_ids
        beyond = (word for word, (_, stop) in zip(words, encoding.offsets, strict=True) if word is not None and stop > end)
        known = [word for word in words if word is not None]
        first_open = next(beyond, known[-1] if known else 0)
        return [token for token, word in zip(encoding.ids, words, strict=True) if word is not None and word < first_open]

    def _trusted_tail(self, encoding: Encoding, part: str) -> list[int]:
        """Return the tokens of all words after the first place at which the pre-tokenizer always splits."""
        begin = self._margin
        while begin < len(part) and _is_absorbed(part[begin]):
            begin += 1
        if not self._splits_anywhere:
            split = self._split.search(part, begin) if self._split else None
            if split is None:
                return []
            begin = split.end()
        words = encoding.word_ids
        open_words = [word for word, (start, _) in zip(words, encoding.offsets, strict=True) if word is not None and start < begin]
        known = [word for word in words if word is not None]
        last_open = open_words[-1] if open_words else (known[0] if known else 0)
        return [token for token, word in zip(encoding.ids, words, strict=True) if word is not None and word > last_open]

    def _splits_before(self, character: str) -> bool:
        """Return whether a word always ends before this character."""
        if self._tokenizer.pre_tokenizer is None:
            return False
        normalizer = self._tokenizer.normalizer
        text = f"ab{character}cd"
        pieces = self._tokenizer.pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text) if normalizer else text)
        return bool(pieces) and pieces[0][0].lstrip("\u2581\u0120") == "ab"


def window(text: str, size: int, direction: Direction) -> str:
    """Return `size` characters of a text, from the end that is kept."""
    return text[:size] if direction == "right" else text[-size:]


def _body(encoding: Encoding) -> Sequence[int]:
    return [token for token, is_special in zip(encoding.ids, encoding.special_tokens_mask, strict=True) if not is_special]


def _is_absorbed(character: str) -> bool:
    """Return whether a character may have no token of its own: a blank, a combining mark or a control character."""
    return unicodedata.category(character)[0] in "ZMC"


def _is_plain(character: str) -> bool:
    """Return whether a normalizer turns this character into exactly one character, whatever its neighbours are."""
    is_part = unicodedata.category(character)[0] == "M" or character in JAMO
    return len(unicodedata.normalize("NFKC", character)) == PLAIN_LENGTH and not is_part


JAMO = frozenset(map(chr, range(0x1100, 0x1200)))
"""The Korean letters, several of which form one syllable."""
