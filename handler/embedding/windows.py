"""The part of a long text that decides which tokens are kept.

A text of six megabytes would take gigabytes as tokens, nearly all of them to be thrown away. So only a window at the end that is
kept is tokenized, and a larger one as long as that is not enough. A token of a window is trusted if it must be one of the text's:

- Pre-tokenizers read from left to right and look ahead a few characters. So each word that ends well before the window's end is a
  word of the whole text, and no text behind a word changes its tokens.
- At the window's start the same holds only behind a place at which the pre-tokenizer always splits: everywhere for BERT's, which
  looks at single characters, and between a letter and a blank or a punctuation mark for most others.
- Within one long word, BPE and Unigram decide the tokens up to a boundary without what follows it: no merge crosses the boundary,
  and the best path to it is a part of the best path. No token is longer than the vocabulary's longest, so each stretch of that
  length has a boundary. If the tokens up to each place of such a stretch begin with the same ones, the whole text does, too.

Law: knows tokenizers, and nothing of limits on time or of what is done with tokens.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Encoding, Tokenizer, models, pre_tokenizers

from handler.vectors import Direction

FIRST_CHARACTERS = 2
"""The first window has so many characters for each token that is kept: enough for texts of punctuation marks or of Chinese."""
GROWTH = 4
"""At most so many times as large is each further window; prose, which has 4 to 6 characters a token, needs one."""
MARGIN_CHARACTERS = 64
"""Beside a window's end nothing is trusted: pre-tokenizers look ahead less far, and an added token may be cut in two there."""
MOST_CHARACTERS = 1 << 18
"""The largest window, except for models that take more than 8,192 tokens: 1 s and 90 MB for emoji, which take most."""
MOST_CHARACTERS_PER_TOKEN = 32
SPLITTING = " ,.;:!?\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f"
"""Characters in front of which most pre-tokenizers split a word, whatever follows."""
PLAIN_LENGTH = 1
"""Characters that a character has after NFKC, unless it stands for several."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The ids of the tokens that are kept, special tokens among them, and how many tokens the window certainly has."""

    ids: list[int]
    counted: int


class Windows:
    """Decides how much of a text a tokenizer has to see so that `max_length` tokens of one end are known."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        """Find out at which places this tokenizer splits texts, whatever surrounds them."""
        self._tokenizer = tokenizer
        added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._margin = MARGIN_CHARACTERS + max(map(len, added), default=0)
        self._body = max(0, max_length - len(tokenizer.encode("").ids))
        self.first = FIRST_CHARACTERS * max_length + self._margin
        self.most = max(MOST_CHARACTERS, MOST_CHARACTERS_PER_TOKEN * max_length)
        self._splits_anywhere = isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        splitting = [character for character in SPLITTING if self._splits_before(character)]
        self._split = re.compile(f"[^\\W\\d_](?=[{re.escape(''.join(splitting))}])") if splitting else None

    @cached_property
    def longest_token(self) -> int:
        """The characters of the longest token; 0 for WordPiece, which makes an unknown word of one that is too long.

        Counted at first need: a vocabulary of 250,000 tokens takes a tenth of a second, which a cold start does not spend.
        """
        if isinstance(self._tokenizer.model, models.WordPiece | models.WordLevel):
            return 0
        return max(map(len, self._tokenizer.get_vocab()))

    @cached_property
    def rereads(self) -> int:
        """Times that a usual text's window is tokenized: Unigram has long words in scripts that are written without blanks."""
        return self.longest_token + 1 if isinstance(self._tokenizer.model, models.Unigram) else 1

    def larger(self, size: int, counted: int) -> int:
        """The size of the next window, where one of `size` characters has `counted` tokens that are trusted."""
        wanted = size * (self._body + 1) * 5 // (4 * counted) if counted else GROWTH * size
        return min(max(wanted, 2 * size), GROWTH * size)

    def kept(self, encoding: Encoding, part: str, direction: Direction) -> Kept | int:
        """Return the tokens kept of a text, from the encoding of a window; or how many are trusted, if too few are."""
        trusted = self._trusted_head(encoding, part) if direction == "right" else self._trusted_tail(encoding, part)
        if len(trusted) <= self._body:
            return len(trusted)
        kept = trusted[: self._body] if direction == "right" else trusted[len(trusted) - self._body :]
        special = encoding.special_tokens_mask
        before = [token for token, added in zip(encoding.ids, special, strict=True) if added]
        place = special.index(0)
        return Kept([*before[:place], *kept, *before[place:]], len(before) + len(trusted))

    def settled(self, text: str, size: int) -> Kept | None:
        """The first tokens of a text whose window is one long word, if no text behind the window can change them."""
        stretch = self.longest_token
        if not stretch or stretch >= size or size * stretch > self.most or not all(map(_is_plain, text[size - stretch - 1 : size])):
            return None
        encodings = self._tokenizer.encode_batch_fast([text[:end] for end in range(size - stretch, size + 1)])
        heads = {tuple(_body(encoding)[: self._body + 1]) for encoding in encodings}
        if len(heads) > 1 or len(next(iter(heads))) <= self._body:
            return None
        last = encodings[-1]
        place = last.special_tokens_mask.index(0)
        special = [token for token, added in zip(last.ids, last.special_tokens_mask, strict=True) if added]
        return Kept([*special[:place], *next(iter(heads))[: self._body], *special[place:]], len(special) + self._body + 1)

    def _trusted_head(self, encoding: Encoding, part: str) -> list[int]:
        """The tokens of all words that end before the margin, which begins before whatever has no token by itself."""
        end = len(part) - self._margin
        while end > 0 and _is_absorbed(part[end - 1]):
            end -= 1
        words = encoding.word_ids
        beyond = (word for word, (_, stop) in zip(words, encoding.offsets, strict=True) if word is not None and stop > end)
        known = [word for word in words if word is not None]
        first_open = next(beyond, known[-1] if known else 0)
        return [token for token, word in zip(encoding.ids, words, strict=True) if word is not None and word < first_open]

    def _trusted_tail(self, encoding: Encoding, part: str) -> list[int]:
        """The tokens of all words behind the first place at which the pre-tokenizer always splits."""
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
        """Return whether a word always ends in front of this character."""
        if self._tokenizer.pre_tokenizer is None:
            return False
        normalizer = self._tokenizer.normalizer
        text = f"ab{character}cd"
        pieces = self._tokenizer.pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text) if normalizer else text)
        return bool(pieces) and pieces[0][0].lstrip("\u2581\u0120") == "ab"


def window(text: str, size: int, direction: Direction) -> str:
    """The part of a text of `size` characters at the end that is kept."""
    return text[:size] if direction == "right" else text[-size:]


def _body(encoding: Encoding) -> Sequence[int]:
    return [token for token, added in zip(encoding.ids, encoding.special_tokens_mask, strict=True) if not added]


def _is_absorbed(character: str) -> bool:
    """Return whether a character may vanish into its neighbours: blanks, marks, and what is no character to look at."""
    return unicodedata.category(character)[0] in "ZMC"


def _is_plain(character: str) -> bool:
    """Return whether a normalizer makes exactly one character of this one, whatever stands beside it."""
    is_part = unicodedata.category(character)[0] == "M" or character in JAMO
    return len(unicodedata.normalize("NFKC", character)) == PLAIN_LENGTH and not is_part


JAMO = frozenset(map(chr, range(0x1100, 0x1200)))
"""Letters of Korean that become one syllable together."""
