"""A reranker with a loaded model, a cross-encoder: it scores a query with each document.

Scores are not cached: a pair of texts seldom comes twice.

Law: knows nothing of HTTP, events or AWS.
"""

import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from handler.config import Settings
from handler.distinct_texts import DistinctTexts
from handler.embedding.manifest import Manifest
from handler.embedding.paced_encoder import Pace
from handler.embedding.pairs import PairTokenization
from handler.service import Embeddings, Options
from handler.vectors import NEVER, PairTokens, Vector


class PairEncoder(Protocol):
    """Scores the tokens of pairs; embedding/cross_encoder.py has the real one."""

    def score(self, pairs: Sequence[PairTokens], deadline: float = NEVER) -> Vector:
        """Return the score of each pair."""
        ...


class CrossEncoderReranker:
    """A reranker with these settings and this model."""

    def __init__(self, settings: Settings, manifest: Manifest, tokenization: PairTokenization, encoder: PairEncoder) -> None:
        self.manifest = manifest
        self._settings = settings
        self._tokenization = tokenization
        self._encoder = encoder
        self._pace = Pace()

    def score(self, query: str, documents: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vector]:
        """Score each document for the query. A document's score does not depend on the other documents.

        Of the options, `truncate` and `truncation_direction` count, and `prompt_name`, whose prompt precedes the query.

        Raises:
            TooLarge: not all documents can be scored before the deadline, or could not (OutOfTime).
            Validation: this model does not take an option, or a pair of this length.
            Backend: the model returned a score that is not finite.
        """
        started = time.perf_counter_ns()
        distinct = DistinctTexts.of(documents)
        query = self.manifest.prompt(options.prompt_name) + query
        pairs = self._tokenization.tokenize(
            query,
            distinct.texts,
            options.truncation_direction,
            deadline,
            places=distinct.first,
            truncate=self._settings.truncates(options.truncate),
        )
        tokenized = time.perf_counter_ns()
        lengths = [len(pair) for pair in pairs]
        scores = self._pace.keep(lengths, deadline, lambda: self._encoder.score([pair.tokens for pair in pairs], deadline))
        return Embeddings(
            vectors=scores[np.array(distinct.places)],
            tokens_each=[lengths[place] for place in distinct.places],
            truncated_each=[pairs[place].truncated for place in distinct.places],
            characters=len(query) + sum(map(len, documents)),
            max_length=self._tokenization.max_length,
            tokenization_ns=tokenized - started,
            inference_ns=time.perf_counter_ns() - tokenized,
        )
