"""The texts of one call without repetitions: each is embedded or scored once.

Law: knows no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class DistinctTexts:
    """The different texts of a call.

    texts: each text once, in the order in which they come first.
    first: for each of `texts`, the index at which it comes first in the call. Errors name a text by this index.
    places: for each text of the call, its index in `texts`.
    """

    texts: list[str]
    first: list[int]
    places: list[int]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Find the different texts of a call."""
        first: dict[str, int] = {}
        for index, text in enumerate(texts):
            first.setdefault(text, index)
        place_of = {text: place for place, text in enumerate(first)}
        return cls(list(first), list(first.values()), [place_of[text] for text in texts])
