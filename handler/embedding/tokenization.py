"""Text to token ids, cut to the model's limit with its special tokens kept."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """One text's token ids, `given` counting them before anything was cut."""

    ids: TokenIds
    given: int

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

    def tokenize(self, texts: Sequence[str], direction: Direction) -> list[Tokens]:
        """Token ids of each text, at most `max_length` of them; `direction` names the end that is cut.

        Raises:
            Tokenizer: a text cannot be encoded.
        """
        try:
            # A batch is spread over all cores and runs without the interpreter's lock; the fast variant keeps no offsets.
            encodings = self._tokenizer.encode_batch_fast(texts)
        except (TypeError, UnicodeError):
            raise Tokenizer(self._unencodable(texts)) from None
        return [self._cut(encoding, direction) for encoding in encodings]

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
        """The text that token ids stand for, without special tokens.

        Raises:
            Validation: an id is not in the vocabulary.
        """
        size = self._tokenizer.get_vocab_size()
        for token in ids:
            if token >= size:
                msg = f"a token id must be below {size}, the size of this model's vocabulary. Given: {token}"
                raise Validation(msg)
        return self._tokenizer.decode(ids, skip_special_tokens=True)

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
