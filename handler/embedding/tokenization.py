"""Text to token ids, cut to the model's limit with its special tokens kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tokenizers

from handler.embedding.manifest import TOKENIZER
from handler.errors import Backend, Tokenizer, Validation

type TokenIds = np.ndarray[tuple[int], np.dtype[np.int64]]
type Direction = Literal["right", "left"]


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


PIECE_CHARACTERS = 32
"""So many characters for each token that the model takes: prose has 4 to 6, and no text a client means to be read has more."""
BATCH_CHARACTERS = 1 << 18
"""About so many are tokenised at a time, since tokens take some hundred bytes each until they are ids."""


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


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

    def tokenize(self, texts: Sequence[str], direction: Direction) -> list[Tokens]:
        """Token ids of each text, at most `max_length` of them; `direction` names the end that is cut.

        Raises:
            Tokenizer: a text cannot be encoded.
        """
        pieces = [self._piece(text, direction) for text in texts]
        found: list[Tokens] = []
        for batch in _batches(pieces):
            try:
                # A batch is spread over all cores and runs without the interpreter's lock; the fast variant keeps no offsets.
                encodings = self._tokenizer.encode_batch_fast(batch)
            except (TypeError, UnicodeError):
                raise Tokenizer(self._unencodable(texts)) from None
            found += [self._cut(encoding, direction) for encoding in encodings]
        return [
            tokens if piece is text else replace(tokens, more=True)
            for tokens, piece, text in zip(found, pieces, texts, strict=True)
        ]

    def _piece(self, text: str, direction: Direction) -> str:
        """As much of a text, from the end that is kept, as certainly holds more tokens than the model takes.

        Six megabytes of text would take more than a gigabyte as tokens, nearly all of them to be thrown away. A piece ends between
        two words, whose tokens do not depend on each other; a text without blanks stays whole.
        """
        characters = self.max_length * PIECE_CHARACTERS
        while characters < len(text):
            piece = text[-characters:] if direction == "left" else text[:characters]
            words = piece.split(None, 1)[1:] if direction == "left" else piece.rsplit(None, 1)[:-1]
            try:
                counted = len(self._tokenizer.encode_batch_fast(words)[0].ids) if words else 0
            except (TypeError, UnicodeError):
                return text
            if counted > self.max_length:
                return words[0]
            characters *= 4
        return text

    def prompt_tokens(self, prompt: str) -> int:
        """How many tokens a prompt puts before a text, a leading special token among them.

        Counted as Sentence Transformers does: the prompt alone as a text, less the special token that ends it.
        """
        if not prompt:
            return 0
        (tokens,) = self.tokenize([prompt], "right")
        special = {place for place, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        return len(tokens.ids) - (int(tokens.ids[-1]) in special)

    def describe(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        """The tokens of each text, uncut, with the tokenizer's own around them if `special`.

        Raises:
            Tokenizer: a text cannot be encoded.
        """
        try:
            encodings = self._tokenizer.encode_batch(texts, add_special_tokens=special)
        except (TypeError, UnicodeError):
            raise Tokenizer(self._unencodable(texts)) from None
        return [
            [
                Token(id=token, text=name, special=True, start=None, stop=None)
                if added
                else Token(id=token, text=text[start:stop], special=False, start=start, stop=stop)
                for token, name, added, (start, stop) in zip(
                    encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
                )
            ]
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that token ids stand for, without those that the tokenizer itself puts around a text.

        Raises:
            Validation: an id is not in the vocabulary.
        """
        size = self._tokenizer.get_vocab_size()
        for token in ids:
            if token >= size:
                msg = f"a token id must be below {size}, the size of this model's vocabulary. Given: {token}"
                raise Validation(msg)
        # Only these: an unknown word is special too, and skipping it would change the text.
        return self._tokenizer.decode([token for token in ids if token not in self._around], skip_special_tokens=False)

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

    @staticmethod
    def _unencodable(texts: Sequence[str]) -> str:
        for index, text in enumerate(texts):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                return (
                    f"`inputs[{index}]` is not valid Unicode: it holds the lone surrogate U+{ord(text[error.start]):04X}"
                    f" at position {error.start}"
                )
        return "`inputs` holds a text that the tokenizer cannot encode"
