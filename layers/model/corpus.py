"""English passages for calibration and for scoring, taken from the documentation in Python's standard library.

Every Python installation has `pydoc_data.topics`, so nothing needs to be downloaded. Its text depends on the release of Python.
The lengths of passages follow a log-normal distribution. Calibration and scoring use different topics, so that no model is scored
on the text that it was fitted to.
"""

import hashlib
import random
import re
from collections.abc import Iterator
from functools import cache
from pydoc_data.topics import topics
from typing import Literal

SEED = 20250601
SHORTEST, MEDIAN, LONGEST = 4, 60, 330
"""Lengths in words and punctuation marks. With about 1.15 tokens for each, that is 5, 66 and 400 tokens of BERT."""
SPREAD = 0.9
"""The standard deviation of the logarithm of a length."""
CALIBRATION_SHARE = 5
"""Every fifth topic is for calibration, the others are for scoring."""

RULER = re.compile(r"([^\w\s])\1{3,}")
"""Lines that underline a title or belong to a table."""

type Part = Literal["calibration", "scoring"]


def passages(part: Part, count: int) -> list[str]:
    """Return the first `count` passages of `part`. Every call returns the same ones.

    Raises:
        ValueError: the documentation has fewer.
    """
    return list(_drawn(part, count))


@cache
def _drawn(part: Part, count: int) -> tuple[str, ...]:
    """Draw passages, which takes 50 ms: a build asks four times, and the tests build hundreds of models in one process."""
    drawn = tuple(passage for passage, _ in zip(_sections(part), range(count), strict=False))
    if len(drawn) < count:
        msg = f"there are only {len(drawn)} passages for {part}, not {count}"
        raise ValueError(msg)
    return drawn


def corpus_digest() -> str:
    """Return the sha256 of the documentation. Another release of Python has other passages, and so other models and figures."""
    return hashlib.sha256("\0".join(topics[name] for name in sorted(topics)).encode()).hexdigest()


def _sections(part: Part) -> Iterator[str]:
    """Yield consecutive sections of the part's text, whose lengths have a log-normal distribution."""
    generator = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    names = sorted(topics)
    chosen = [name for place, name in enumerate(names) if (place % CALIBRATION_SHARE == 0) == (part == "calibration")]
    paragraphs = [paragraph for name in chosen for paragraph in re.split(r"\n\s*\n", RULER.sub(" ", topics[name]))]
    generator.shuffle(paragraphs)
    words = [match for paragraph in paragraphs for match in re.finditer(r"\w+|[^\w\s]", paragraph)]
    start = 0
    while start < len(words):
        length = round(MEDIAN * generator.lognormvariate(0, SPREAD))
        section = words[start : start + min(max(length, SHORTEST), LONGEST)]
        yield _text(section)
        start += len(section)


def _text(words: list[re.Match[str]]) -> str:
    """Return the words joined as in the source, with one space for each gap."""
    parts: list[str] = []
    for before, word in zip([None, *words], words, strict=False):
        apart = before is not None and (before.string is not word.string or before.end() != word.start())
        parts.append(f" {word[0]}" if apart else word[0])
    return "".join(parts)
