"""Token ids in requests: the ids of one text, or lists of the ids of several."""

from typing import TypeIs

from handler.errors import TooLarge, Validation

MOST_TOKEN_IDS = 300_000
"""OpenAI's own limit for one request. Each token id becomes up to a hundred characters of text, before truncation."""


def check_count(name: str, count: int) -> None:
    """Refuse more token ids in the field `name` than one request may have.

    Raises:
        TooLarge: the sentence has the limit and the count.
    """
    if count > MOST_TOKEN_IDS:
        msg = f"`{name}` has {count} token ids > {MOST_TOKEN_IDS}, the most of one request"
        raise TooLarge(msg)


def are_ids(item: object, expected: str) -> TypeIs[list[int]]:
    """Return whether `item` is a list of token ids.

    Raises:
        Validation: it begins like one, but something in it is no token id; the sentence says what was `expected`.
    """
    if not isinstance(item, list) or not item or isinstance(item[0], str | list | dict):
        return False
    if any(not isinstance(token, int) or isinstance(token, bool) or token < 0 for token in item):
        raise Validation(expected)
    return True
