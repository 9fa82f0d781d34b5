"""Texts to token ids, truncated to the model's limit. The special tokens are always kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tokenizers

from handler.embedding.input_checks import check_encodable
from handler.embedding.manifest import TOKENIZER
from handler.embedding.tokenization_limits import BATCH_CHARACTERS, FAIR_CHARACTERS, TokenizationLimits, split_into_batches
from handler.embedding.truncation import Truncator, window
from handler.errors import Backend, RefusedText, Validation, shown
from handler.vectors import Direction, TokenIds


@dataclass(frozen=True, slots=True)
class Tokens:
    """The ids of the tokens that are kept of a text, and the number of its tokens. For a very long text, that is a lower bound."""

    ids: TokenIds
    total: int
    is_lower_bound: bool = False

    @property
    def truncated(self) -> bool:
        """True if tokens were dropped."""
        return len(self.ids) < self.total


@dataclass(frozen=True, slots=True)
class Token:
    """One token and its place in the text, in characters. A special token, which the tokenizer added, has no place."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Tokenization:
    """A model's tokenizer. The builder removed padding and truncation from its file, because they are decided here."""

    def __init__(self, folder: Path, max_length: int) -> None:
        """Load `folder`/tokenizer.json.

        Raises:
            Backend: the file is not a tokenizer.
        """
        self.max_length = max_length
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            msg = f"The model file {TOKENIZER} in {folder} is not a tokenizer: {error}"
            raise Backend(msg) from None
        self._around = frozenset(self._tokenizer.encode("").ids)
        self._truncator = Truncator(self._tokenizer, max_length)

    def tokenize(
        self, texts: Sequence[str], direction: Direction, deadline: float = math.inf, places: Sequence[int] | None = None
    ) -> list[Tokens]:
        """Return the token ids of each text, at most `max_length` for each.

        Only the part of a long text that decides the kept tokens is read (see truncation.py).

        Args:
            texts: the texts.
            direction: the end at which a long text is truncated.
            deadline: the reading of time.monotonic() after which nothing more is tokenized.
            places: the index by which the client knows each text; its index in `texts` by default.

        Raises:
            Tokenizer: a text cannot be encoded.
            TooLarge: the deadline passed before all texts were tokenized.
            RefusedText: a text has no place at which it can be truncated.
            Validation: the texts have too few tokens for their length.
        """
        places = range(len(texts)) if places is None else places
        check_encodable(texts, places)
        call = _Call(texts, direction, places, deadline, self._truncator.rereads * FAIR_CHARACTERS * self.max_length)
        sizes = dict.fromkeys(range(len(texts)), self._truncator.first_size)
        while sizes:
            self._tokenize_whole([index for index, size in sizes.items() if len(texts[index]) <= size], call)
            windows = {index: size for index, size in sizes.items() if len(texts[index]) > size}
            sizes = self._tokenize_windows(windows, call)
        return [call.found[index] for index in range(len(texts))]

    def _tokenize_whole(self, indices: Sequence[int], call: "_Call") -> None:
        for batch in split_into_batches({index: len(call.texts[index]) for index in indices}):
            call.limits.check_deadline(len(call.found))
            for index in batch:
                call.limits.add_characters(index, len(call.texts[index]))
            # A batch runs on all cores, without the interpreter's lock. The fast variant computes no offsets.
            encodings = self._tokenizer.encode_batch_fast([call.texts[index] for index in batch])
            call.found.update(
                (index, self._truncated(encoding, call.direction)) for index, encoding in zip(batch, encodings, strict=True)
            )

    def _tokenize_windows(self, sizes: Mapping[int, int], call: "_Call") -> dict[int, int]:
        """Tokenize a window of the given size of each text; return the next sizes for the texts that need a larger one."""
        larger: dict[int, int] = {}
        for batch in split_into_batches(sizes):
            call.limits.check_deadline(len(call.found))
            for index in batch:
                call.limits.add_characters(index, sizes[index])
            encodings = self._tokenizer.encode_batch([window(call.texts[index], sizes[index], call.direction) for index in batch])
            for index, encoding in zip(batch, encodings, strict=True):
                text, size = call.texts[index], sizes[index]
                kept = self._truncator.kept(encoding, window(text, size, call.direction), call.direction)
                if isinstance(kept, int):
                    trusted = kept
                    if size >= self._truncator.largest_size:
                        raise call.cannot_be_truncated(index, size, self.max_length)
                    kept_of_word = self._truncator.kept_of_long_word(text, size) if call.direction == "right" else None
                    if kept_of_word is None:
                        larger[index] = min(self._truncator.next_size(size, trusted), self._truncator.largest_size)
                        continue
                    kept = kept_of_word
                call.found[index] = Tokens(np.array(kept.ids, dtype=np.int64), kept.least_total, is_lower_bound=True)
        return larger

    def encoded_pair(self) -> tokenizers.Encoding:
        """Return the encoding of two short texts: it shows the special tokens that the tokenizer puts around them."""
        return self._tokenizer.encode("a", "a")

    @cached_property
    def _before(self) -> int:
        """The number of special tokens before a text."""
        return self._tokenizer.encode("a").special_tokens_mask.index(0)

    @property
    def special(self) -> int:
        """The number of special tokens around a text."""
        return self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def body(self, tokens: Tokens) -> TokenIds:
        """Return the ids of a text's tokens without the special tokens around them."""
        return tokens.ids[self._before : len(tokens.ids) - self.special + self._before]

    def prompt_tokens(self, prompt: str) -> int:
        """Return the number of tokens that a prompt puts before a text, including a special token at the start.

        Like Sentence Transformers, this counts the tokens of the prompt as a text of its own, without a special token at its end.
        """
        if not prompt:
            return 0
        (tokens,) = self.tokenize([prompt], "right")
        special = {place for place, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        return len(tokens.ids) - (int(tokens.ids[-1]) in special)

    def describe(self, texts: Sequence[str], *, special: bool, deadline: float = math.inf) -> list[list[Token]]:
        """Return all tokens of each text, including the tokenizer's special tokens if `special`.

        Raises:
            Tokenizer: a text cannot be encoded.
            TooLarge: the deadline passed before all texts were tokenized.
        """
        limits = TokenizationLimits(len(texts), deadline, 0)
        check_encodable(texts, range(len(texts)))
        found: list[list[Token]] = []
        for batch in split_into_batches({index: len(text) for index, text in enumerate(texts)}):
            limits.check_deadline(len(found))
            encodings = self._tokenizer.encode_batch([texts[index] for index in batch], add_special_tokens=special)
            found += [_tokens_of(encoding, texts[index]) for index, encoding in zip(batch, encodings, strict=True)]
        return found

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, with the special tokens around it. Nothing is truncated."""
        (encoding,) = self._tokenizer.encode_batch_fast([text])
        return len(encoding)

    def find_starts(self, text: str, deadline: float = math.inf) -> list[int]:
        """Return the places at which the tokens of a text start, in characters, without the special tokens around it.

        A token that begins with the blank before a word starts at the word, too. A long text is tokenized in parts that end at a
        blank, so that its tokens take little memory.

        Raises:
            Tokenizer: the text cannot be encoded.
            TooLarge: the deadline passed before the whole text was tokenized.
        """
        limits = TokenizationLimits(1, deadline, 0)
        check_encodable([text], range(1))
        starts: list[int] = []
        begin = 0
        while begin < len(text):
            limits.check_deadline(0)
            end = begin + BATCH_CHARACTERS
            blank = max(text.rfind(" ", begin + 1, end), text.rfind("\n", begin + 1, end)) if end < len(text) else -1
            end = blank if blank > 0 else end
            encoding = self._tokenizer.encode(text[begin:end], add_special_tokens=False)
            starts += [_skip_blanks(text, begin + start, begin + stop) for start, stop in encoding.offsets]
            begin = end
        return starts

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text that token ids stand for, without the special tokens that the tokenizer puts around a text.

        Raises:
            Validation: an id is not in the vocabulary.
        """
        # The other special tokens stay: an unknown word is one too, and dropping it would change the text.
        return self.decode([token for token in ids if token not in self._around], skip_special_tokens=False)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Return the text of token ids, with its special tokens unless they are skipped.

        Raises:
            Validation: an id is not in the vocabulary.
        """
        size = self._tokenizer.get_vocab_size()
        for token in ids:
            if token >= size:
                msg = f"a token id must be below {size}, the size of this model's vocabulary. Given: {shown(token)}"
                raise Validation(msg)
        return self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def _truncated(self, encoding: tokenizers.Encoding, direction: Direction) -> Tokens:
        ids = np.array(encoding.ids, dtype=np.int64)
        excess = len(ids) - self.max_length
        if excess <= 0:
            return Tokens(ids, len(ids))
        # [CLS] tail [SEP]: only tokens of the text are dropped, never the special tokens with which the model was trained.
        special = np.array(encoding.special_tokens_mask, dtype=bool)
        body = np.flatnonzero(~special)
        dropped = body[:excess] if direction == "left" else body[-excess:]
        return Tokens(np.delete(ids, dropped), len(ids))


def _skip_blanks(text: str, start: int, stop: int) -> int:
    while start < stop and text[start].isspace():
        start += 1
    return start


def _tokens_of(encoding: tokenizers.Encoding, text: str) -> list[Token]:
    return [
        Token(id=token, text=name, special=True, start=None, stop=None)
        if is_special
        else Token(id=token, text=text[start:stop], special=False, start=start, stop=stop)
        for token, name, is_special, (start, stop) in zip(
            encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
        )
    ]


class _Call:
    """The state of one call of `tokenize`: its texts, the tokens found so far, and its limits."""

    def __init__(
        self, texts: Sequence[str], direction: Direction, places: Sequence[int], deadline: float, fair_characters: int
    ) -> None:
        self.texts = texts
        self.direction: Direction = direction
        self.places = places
        self.found: dict[int, Tokens] = {}
        self.limits = TokenizationLimits(len(texts), deadline, fair_characters)

    def cannot_be_truncated(self, index: int, size: int, max_length: int) -> RefusedText:
        """Return the error for a text whose largest window does not decide which tokens are kept."""
        end = "first" if self.direction == "right" else "last"
        sentence = (
            f"{{}} cannot be truncated to {max_length} tokens: its {end} {size} characters do not decide "
            "which tokens are kept, because too few words in them are separated by blanks. "
            f"It has {len(self.texts[index])} characters"
        )
        return RefusedText(sentence, self.places[index])
