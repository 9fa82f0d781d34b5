"""The assumed speed of Lambda's architectures: measured on their class of processor, or else predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from handler.cache.cost import Speed

from . import results
from .machine import ARM64, AVX2
from .results import NotMeasured, Section

CLASSES = {"x86_64": AVX2, "arm64": ARM64}
"""The processors of Lambda: AWS documents nothing beyond AVX2 for x86_64, and Graviton2 (Neoverse N1) for arm64."""
PREDICTED_TOKENS, PREDICTED_MS = 128, {"x86_64": 38.0, "arm64": 28.0}
"""The predicted time of a text where none was measured: 35 to 41 ms with AVX2 on half a core whose other half is busy, and 27 to
29 ms on Graviton2, by llvm-mca's cycles for neoverse-n1."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds on one core: a text by its tokens, a request without its encoding, and a cold start."""

    by_tokens: dict[int, float]
    overhead_ms: float
    cold_ms: float
    known: str
    """Return if the speeds are measured or predicted."""

    @classmethod
    def read(cls, path: Path, architecture: str = "x86_64") -> Self:
        """Read those of an architecture's class from a file of figures; make a prediction of another class's if it has none.

        Raises:
            NotMeasured: no class in the file has all the tables.
        """
        sections = results.read(path)
        name = CLASSES[architecture]
        try:
            return cls._of(sections, name)
        except NotMeasured:
            other, _ = results.chosen(sections, ENCODER)
            return cls._of(sections, other).predicted(architecture)

    @classmethod
    def _of(cls, sections: Mapping[str, Section], name: str) -> Self:
        _, encoder = results.chosen(sections, ENCODER, [name])
        _, (warm, *_) = results.chosen(sections, "Warm request: milliseconds", [name])
        _, processes = results.chosen(sections, "Cold: milliseconds from process start to first vector", [name])
        cold = {row["process"]: row["ms"] for row in processes}
        by_tokens = {row["tokens"]: row["ours int8"] for row in encoder}
        return cls(by_tokens, warm["tokenise"] + warm["framework"], cold["with keys and table"], f"measured on {name}")

    def predicted(self, architecture: str) -> Self:
        """All texts scaled by what one of them is predicted to take; all else as it was measured."""
        scale = PREDICTED_MS[architecture] / self.encoding_ms(PREDICTED_TOKENS)
        by_tokens = {tokens: ms * scale for tokens, ms in self.by_tokens.items()}
        return replace(self, by_tokens=by_tokens, known="predicted")

    def encoding_ms(self, tokens: int) -> float:
        """Between what was measured on a straight line; beyond it, in proportion to the longest."""
        lengths = sorted(self.by_tokens)
        longest = lengths[-1]
        if tokens > longest:
            return self.by_tokens[longest] * tokens / longest
        return float(np.interp(tokens, lengths, [self.by_tokens[length] for length in lengths]))

    @property
    def speed(self) -> Speed:
        """The straight line through all of it that the cache's cost model goes by: it misses each length by a like share."""
        tokens, ms = np.array(list(self.by_tokens.items())).T
        slope, fixed = np.polyfit(tokens, ms, 1, w=1 / ms)
        return Speed(fixed_ms=max(0.0, float(fixed)), token_ms=float(slope))


ENCODER = "Encoder, 1 thread: milliseconds a text"
