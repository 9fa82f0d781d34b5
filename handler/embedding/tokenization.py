"""Text to token ids, cut to the model's limit with its special tokens kept."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers

from handler.embedding.manifest import TOKENIZER
from handler.embedding.windows import Windows, window
from handler.errors import Backend, Tokenizer, TooLarge, Validation, shown
from handler.vectors import Direction, TokenIds


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text's token ids, `given` counting them before anything was cut; of a very long text, there are `more`."""

    ids: TokenIds
    given: int
    more: bool = False

    @property
    def truncated(self) -> bool:
        """Whether tokens were cut off."""
        return len(self.ids) < self.given


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text and where it stands there, in characters; a special one, which the tokenizer added, stands nowhere."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


BATCH_CHARACTERS = 1 << 16
"""About so many are tokenized between two looks at the deadline; their tokens take some hundred bytes each until they are ids."""
FAIR_CHARACTERS = 16
"""So many characters for each token that the model takes may be tokenized of any text: no language has that many."""
EXCESS_CHARACTERS = 1 << 20
"""Characters that may be tokenized beyond that, for all texts of a call together."""


class Tokenization:
    """A model's tokenizer. The builder has taken padding and truncation out of its file: both are decided here."""

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
        self._windows = Windows(self._tokenizer, max_length)

    def tokenize(
        self, texts: Sequence[str], direction: Direction, deadline: float = math.inf, places: Sequence[int] | None = None
    ) -> list[Tokens]:
        """Token ids of each text, at most `max_length` of them; `direction` names the end that is truncated.

        No more of a long text is read than decides the tokens that are kept (see windows.py).

        Args:
            texts: what is tokenized.
            direction: the end that is truncated.
            deadline: the reading of time.monotonic() after which nothing more is tokenized.
            places: the index that the client knows each text by; its index in `texts` unless given.

        Raises:
            Tokenizer: a text cannot be encoded.
            TooLarge: the deadline passed before all were done.
            Validation: a text has no place at which it can be truncated, or the texts have too few tokens for their length.
        """
        places = range(len(texts)) if places is None else places
        check_encodable(texts, places)
        call = _Call(texts, direction, places, deadline, self._windows.rereads * FAIR_CHARACTERS * self.max_length)
        sizes = dict.fromkeys(range(len(texts)), self._windows.first)
        while sizes:
            self._tokenize_whole([index for index, size in sizes.items() if len(texts[index]) <= size], call)
            windows = {index: size for index, size in sizes.items() if len(texts[index]) > size}
            sizes = self._tokenize_windows(windows, call)
        return [call.found[index] for index in range(len(texts))]

    def _tokenize_whole(self, indices: Sequence[int], call: "_Call") -> None:
        for batch in _batches({index: len(call.texts[index]) for index in indices}):
            call.check_deadline()
            for index in batch:
                call.count(index, len(call.texts[index]))
            # A batch is spread over all cores and runs without the interpreter's lock; the fast variant keeps no offsets.
            encodings = self._tokenizer.encode_batch_fast([call.texts[index] for index in batch])
            call.found.update(
                (index, self._cut(encoding, call.direction)) for index, encoding in zip(batch, encodings, strict=True)
            )

    def _tokenize_windows(self, sizes: Mapping[int, int], call: "_Call") -> dict[int, int]:
        """Tokenize a window of each text, of the size given; return the sizes of larger ones for those that need them."""
        larger: dict[int, int] = {}
        for batch in _batches(sizes):
            call.check_deadline()
            for index in batch:
                call.count(index, sizes[index])
            encodings = self._tokenizer.encode_batch([window(call.texts[index], sizes[index], call.direction) for index in batch])
            for index, encoding in zip(batch, encodings, strict=True):
                text, size = call.texts[index], sizes[index]
                kept = self._windows.kept(encoding, window(text, size, call.direction), call.direction)
                if isinstance(kept, int):
                    if size >= self._windows.most:
                        raise call.cannot_be_truncated(index, size, self.max_length)
                    larger[index] = min(self._windows.larger(size, kept), self._windows.most)
                    settled = self._windows.settled(text, size) if call.direction == "right" else None
                    if settled is None:
                        continue
                    del larger[index]
                    kept = settled
                call.found[index] = Tokens(np.array(kept.ids, dtype=np.int64), kept.counted, more=True)
        return larger

    def prompt_tokens(self, prompt: str) -> int:
        """How many tokens a prompt puts before a text, a leading special token among them.

        Counted as Sentence Transformers does: the prompt alone as a text, less the special token that ends it.
        """
        if not prompt:
            return 0
        (tokens,) = self.tokenize([prompt], "right")
        special = {place for place, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        return len(tokens.ids) - (int(tokens.ids[-1]) in special)

    def describe(self, texts: Sequence[str], *, special: bool, deadline: float = math.inf) -> list[list[Token]]:
        """The tokens of each text, all of them, with the tokenizer's own around them if `special`.

        Raises:
            Tokenizer: a text cannot be encoded.
            TooLarge: the deadline passed before all were done.
        """
        call = _Call(texts, "right", range(len(texts)), deadline, 0)
        check_encodable(texts, call.places)
        described: list[list[Token]] = []
        for batch in _batches({index: len(text) for index, text in enumerate(texts)}):
            call.check_deadline(len(described))
            encodings = self._tokenizer.encode_batch([texts[index] for index in batch], add_special_tokens=special)
            described += [_tokens_of(encoding, texts[index]) for index, encoding in zip(batch, encodings, strict=True)]
        return described

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that token ids stand for, without those that the tokenizer itself puts around a text.

        Raises:
            Validation: an id is not in the vocabulary.
        """
        # Only these: an unknown word is special too, and skipping it would change the text.
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

    def _cut(self, encoding: tokenizers.Encoding, direction: Direction) -> Tokens:
        ids = np.array(encoding.ids, dtype=np.int64)
        excess = len(ids) - self.max_length
        if excess <= 0:
            return Tokens(ids, len(ids))
        # [CLS] tail [SEP]: only the text itself is cut, never the special tokens that the model was trained to see.
        special = np.array(encoding.special_tokens_mask, dtype=bool)
        body = np.flatnonzero(~special)
        cut = body[:excess] if direction == "left" else body[-excess:]
        return Tokens(np.delete(ids, cut), len(ids))


def _tokens_of(encoding: tokenizers.Encoding, text: str) -> list[Token]:
    return [
        Token(id=token, text=name, special=True, start=None, stop=None)
        if added
        else Token(id=token, text=text[start:stop], special=False, start=start, stop=stop)
        for token, name, added, (start, stop) in zip(
            encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
        )
    ]


class _Call:
    """One call of `tokenize`: what it was given, what was found, and what it may take."""

    def __init__(
        self, texts: Sequence[str], direction: Direction, places: Sequence[int], deadline: float, fair_characters: int
    ) -> None:
        self.texts = texts
        self.direction: Direction = direction
        self.places = places
        self.found: dict[int, Tokens] = {}
        self._deadline = deadline
        self._started = time.monotonic()
        self._fair = fair_characters
        self._read: Counter[int] = Counter()
        self._excess = 0

    def check_deadline(self, done: int | None = None) -> None:
        """Refuse to go on after the deadline."""
        now = time.monotonic()
        if now > self._deadline:
            done = len(self.found) if done is None else done
            msg = (
                f"the time ran out: {done} of {len(self.texts)} inputs were tokenized in {now - self._started:.1f} s, "
                "send fewer or shorter ones at a time"
            )
            raise TooLarge(msg)

    def count(self, index: int, characters: int) -> None:
        """Count characters that are read of one text; refuse to read far more of all texts than language needs."""
        before = self._read[index]
        self._read[index] += characters
        self._excess += max(0, self._read[index] - self._fair) - max(0, before - self._fair)
        if self._excess > EXCESS_CHARACTERS and len(self.texts) > 1:
            # No TooLarge: the pipeline would try the same records again for ever, where each by itself may fit.
            msg = (
                f"`inputs` cannot be truncated: more than {EXCESS_CHARACTERS} characters would have to be read beyond the "
                f"{self._fair} of each text in which language has tokens enough. Send fewer texts at a time, or shorter ones"
            )
            raise Validation(msg)

    def cannot_be_truncated(self, index: int, size: int, max_length: int) -> Validation:
        """The error for a text whose largest window does not decide which tokens are kept."""
        end = "first" if self.direction == "right" else "last"
        return Validation(
            f"`inputs[{self.places[index]}]` cannot be truncated to {max_length} tokens: its {end} {size} characters do not decide "
            f"which, for want of words with blanks between them. It has {len(self.texts[index])} characters"
        )


def _batches(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Places of texts that are tokenized at a time, given how many characters each has."""
    batch: list[int] = []
    total = 0
    for place, size in sizes.items():
        if batch and total + size > BATCH_CHARACTERS:
            yield batch
            batch, total = [], 0
        batch.append(place)
        total += size
    if batch:
        yield batch


def check_encodable(texts: Sequence[str], places: Sequence[int], name: str = "inputs") -> None:
    """Refuse texts that hold half of a surrogate pair, which no tokenizer takes; `places` are the client's indices.

    Raises:
        Tokenizer: the sentence names the field, the index and the position.
    """
    for text, place in zip(texts, places, strict=True):
        if text.isascii():
            continue
        try:
            text.encode()
        except UnicodeEncodeError as error:
            msg = (
                f"`{name}[{place}]` is not valid Unicode: it holds the lone surrogate U+{ord(text[error.start]):04X}"
                f" at position {error.start}"
            )
            raise Tokenizer(msg) from None
