"""English passages to calibrate and to score models on, cut from the documentation that CPython itself carries.

`pydoc_data.topics` is on every machine that has Python, so nothing is downloaded or copied; its text is that of the installed
release. Passages follow a stated histogram of lengths. Calibration and scoring passages come from different topics, so that no
model is scored on what it was fitted to.
"""

import hashlib
import random
import re
from collections.abc import Iterator
from pydoc_data.topics import topics
from typing import Literal

SEED = 20250601
SHORTEST, MEDIAN, LONGEST = 4, 60, 330
"""Lengths in words and punctuation marks; a BERT tokenizer makes about 1.15 tokens of each: 5, 66 and 400."""
SPREAD = 0.9
"""Standard deviation of the logarithm of a length."""
CALIBRATION_SHARE = 5
"""Every fifth topic is for calibration, the others are for scoring."""

RULER = re.compile(r"([^\w\s])\1{3,}")
"""Lines that underline a title, or make a table."""

type Part = Literal["calibration", "scoring"]


def passages(part: Part, count: int) -> list[str]:
    """The first `count` passages of `part`, the same on every call.

    Raises:
        ValueError: the documentation has fewer.
    """
    drawn = [passage for passage, _ in zip(_endless(part), range(count), strict=False)]
    if len(drawn) < count:
        msg = f"there are only {len(drawn)} passages for {part}, not {count}"
        raise ValueError(msg)
    return drawn


def corpus_digest() -> str:
    """Sha256 of the documentation: with another release of Python come other passages, and so other models and measurements."""
    return hashlib.sha256("\0".join(topics[name] for name in sorted(topics)).encode()).hexdigest()


def _endless(part: Part) -> Iterator[str]:
    """Consecutive stretches of the part's text, each of a length drawn from a log-normal distribution."""
    generator = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    names = sorted(topics)
    chosen = [name for place, name in enumerate(names) if (place % CALIBRATION_SHARE == 0) == (part == "calibration")]
    paragraphs = [paragraph for name in chosen for paragraph in re.split(r"\n\s*\n", RULER.sub(" ", topics[name]))]
    generator.shuffle(paragraphs)
    words = [match for paragraph in paragraphs for match in re.finditer(r"\w+|[^\w\s]", paragraph)]
    start = 0
    while start < len(words):
        length = round(MEDIAN * generator.lognormvariate(0, SPREAD))
        stretch = words[start : start + min(max(length, SHORTEST), LONGEST)]
        yield _text(stretch)
        start += len(stretch)


def _text(words: list[re.Match[str]]) -> str:
    """The words as they stood, paragraphs joined by a blank, the layout of the source folded."""
    parts: list[str] = []
    for before, word in zip([None, *words], words, strict=False):
        apart = before is not None and (before.string is not word.string or before.end() != word.start())
        parts.append(f" {word[0]}" if apart else word[0])
    return "".join(parts)
