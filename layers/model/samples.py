"""The passages on which a built model is calibrated, tried and measured, as sequences of tokens.

A model of vectors takes them one by one. A cross-encoder takes them in pairs: the first words of a passage are the query of a group
of passages, to which the passage itself belongs.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handler.embedding import encoders
from handler.embedding.cross_encoder import CrossEncoder
from handler.embedding.manifest import Manifest
from handler.embedding.pairs import PairTokenization
from handler.embedding.tokenization import Tokenization
from handler.vectors import PairTokens, TokenIds
from layers.model.corpus import passages
from layers.model.fidelity import Fidelity, ScoreFidelity, check_scores, check_usable

CALIBRATION_PASSAGES = 128
LONG_PASSAGES = 1000
"""The number of passages that are joined to a long text."""
TRIAL_TOKENS = 512
"""The length of the long text on which a model is tried, if it takes texts of that length."""
GROUP_SIZE = 50
"""The number of passages that have the same query."""
QUERY_WORDS = 8

type Sequences = Sequence[NDArray[np.int64]]
type Results = NDArray[np.float32]
"""One row for each sequence."""


class Samples(Protocol):
    """The sequences of one model, and what is measured with them."""

    def calibration(self) -> Sequences:
        """Return the sequences on which int8 and int4 are fitted."""
        ...

    def scoring(self, count: int) -> Sequences:
        """Return `count` sequences with which a model is compared with its float32 graph."""
        ...

    def long(self) -> NDArray[np.int64]:
        """Return a sequence that uses a model's last positions."""
        ...

    def encode(self, folder: Path, manifest: Manifest, threads: int) -> Callable[[Sequences], Results]:
        """Load a model; return the function that computes a result for each sequence."""
        ...

    def check(self, results: Results, precision: str) -> None:
        """Check that results can be used.

        Raises:
            Unsupported: they cannot.
        """
        ...

    def fidelity(self, results: Results, exact: Results) -> "Fidelity | ScoreFidelity":
        """Return how close results are to those of the float32 graph."""
        ...


class Texts:
    """The samples of a model of vectors."""

    def __init__(self, tokenization: Tokenization) -> None:
        self._tokenization = tokenization

    def calibration(self) -> list[TokenIds]:
        """Return one sequence for each passage for calibration."""
        return self._ids(passages("calibration", CALIBRATION_PASSAGES))

    def scoring(self, count: int) -> list[TokenIds]:
        """Return one sequence for each passage for scoring."""
        return self._ids(passages("scoring", count))

    def long(self) -> TokenIds:
        """Return the first tokens of all passages together."""
        return self._ids(["\n".join(passages("scoring", LONG_PASSAGES))])[0][:TRIAL_TOKENS]

    def encode(self, folder: Path, manifest: Manifest, threads: int) -> Callable[[Sequences], Results]:
        """Load a model; return the function that computes a vector for each sequence."""
        return encoders.load(folder, manifest, threads).encode

    def check(self, results: Results, precision: str) -> None:
        """Check that vectors are not zero and differ.

        Raises:
            Unsupported: they are zero, or all the same.
        """
        check_usable(results, precision)

    def fidelity(self, results: Results, exact: Results) -> Fidelity:
        """Return the cosines between vectors and those of the float32 graph."""
        return Fidelity.of(results, exact)

    def _ids(self, texts: list[str]) -> list[TokenIds]:
        return [tokens.ids for tokens in self._tokenization.tokenize(texts, "right")]


class Pairs:
    """The samples of a cross-encoder; `prompt` precedes its queries."""

    def __init__(self, tokenization: Tokenization, prompt: str) -> None:
        self._tokenization = PairTokenization(tokenization)
        self._prompt = prompt

    def calibration(self) -> list[PairTokens]:
        """Return a pair for each passage for calibration."""
        return self._pairs(passages("calibration", CALIBRATION_PASSAGES))

    def scoring(self, count: int) -> list[PairTokens]:
        """Return a pair for each passage for scoring."""
        return self._pairs(passages("scoring", count))

    def long(self) -> PairTokens:
        """Return a pair of all passages together, which is truncated on both sides."""
        text = "\n".join(passages("scoring", LONG_PASSAGES))
        (pair,) = self._tokenization.tokenize(text, [text], "right")
        return pair.tokens[:, :TRIAL_TOKENS]

    def encode(self, folder: Path, manifest: Manifest, threads: int) -> Callable[[Sequences], Results]:
        """Load a model; return the function that computes a score for each pair."""
        return CrossEncoder(folder, manifest, threads).score

    def check(self, results: Results, precision: str) -> None:
        """Check that scores differ.

        Raises:
            Unsupported: they are all the same.
        """
        check_scores(results, precision)

    def fidelity(self, results: Results, exact: Results) -> ScoreFidelity:
        """Return how scores, and the orders that they give, agree with those of the float32 graph."""
        return ScoreFidelity.of(results, exact, GROUP_SIZE)

    def _pairs(self, documents: Sequence[str]) -> list[PairTokens]:
        return [
            tokens
            for start in range(0, len(documents), GROUP_SIZE)
            for tokens in self._group(documents[start : start + GROUP_SIZE])
        ]

    def _group(self, group: Sequence[str]) -> Iterator[PairTokens]:
        query = self._prompt + " ".join(group[0].split()[:QUERY_WORDS])
        return (pair.tokens for pair in self._tokenization.tokenize(query, group, "right"))
