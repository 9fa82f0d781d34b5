"""Refuse inputs that a model cannot embed: invalid Unicode, and a text beyond its limit where a request excludes truncation."""

from collections.abc import Sequence
from typing import Protocol

from handler.errors import RefusedText, Tokenizer


class Limited(Protocol):
    """The tokens that are kept of an input, and the number of its tokens."""

    @property
    def total(self) -> int:
        """The number of tokens before truncation."""
        ...

    @property
    def is_lower_bound(self) -> bool:
        """True if there may be more."""
        ...

    @property
    def truncated(self) -> bool:
        """True if tokens were dropped."""
        ...


def check_whole(inputs: Sequence[Limited], limit: int, places: Sequence[int], name: str = "{}") -> None:
    """Refuse inputs that were truncated to `limit` tokens.

    `places` has the index by which the caller knows each of them, and `name` has `{}` where the sentence names the text.

    Raises:
        RefusedText: one was; the sentence has its number of tokens.
    """
    for tokens, place in zip(inputs, places, strict=True):
        if tokens.truncated:
            given = f"more than {tokens.total}" if tokens.is_lower_bound else tokens.total
            msg = f"Input validation error: {name} must have less than {limit} tokens. Given: {given}"
            raise RefusedText(msg, place)


def check_encodable(texts: Sequence[str], places: Sequence[int], name: str = "inputs") -> None:
    """Refuse texts with half of a surrogate pair, which no tokenizer can encode. `places` are the client's indices.

    Raises:
        Tokenizer: a text has one; the sentence names the field, the index and the position.
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
