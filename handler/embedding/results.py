"""Return the results of a call of an encoder, or raise the error that says what is missing from them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handler.errors import OutOfTime, Unembeddable


@dataclass(frozen=True, slots=True)
class Words:
    """The words that errors use for an input, for the work on it, and for its result."""

    input: str
    done: str
    result: str


TEXTS, PAIRS = Words("text", "embedded", "vector"), Words("pair", "scored", "score")


def complete(
    found: Mapping[int, NDArray[np.float32]], count: int, started: float, words: Words = TEXTS
) -> list[NDArray[np.float32]]:
    """Return the results of `count` texts or pairs in order. `found` has them by the places of their texts.

    Args:
        found: the results of the texts that were encoded before the deadline.
        count: the number of texts of the call.
        started: the reading of time.monotonic() at the start of the call.
        words: the words of the errors.

    Raises:
        OutOfTime: the result of a text is missing; the error has the finished vectors.
        Unembeddable: a result has a number that is not finite.
    """
    finite = {index: result for index, result in found.items() if np.isfinite(result).all()}
    if len(found) < count:
        taken = time.monotonic() - started
        msg = f"the time ran out: {len(found)} of {count} inputs were {words.done} in {taken:.1f} s, send fewer at a time"
        raise OutOfTime(msg, finite)
    if broken := count - len(finite):
        msg = f"The model gave a {words.result} that is not finite for {broken} of the inputs"
        raise Unembeddable(msg)
    return [found[index] for index in range(count)]
