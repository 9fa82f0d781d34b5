"""A reranker whose model is loaded at its first use: a deployment that seldom reranks does not wait for it at its cold starts."""

import threading
import time
from collections.abc import Callable, Sequence

from handler.embedding.manifest import Manifest
from handler.errors import Backend
from handler.service import Embeddings, Options, Reranker
from handler.vectors import NEVER, Vector


class LazyReranker:
    """Scores as the reranker does that `load` returns. If it cannot be loaded, the next use after a pause tries again."""

    def __init__(self, load: Callable[[], Reranker], pause_seconds: float = 10) -> None:
        self._load = load
        self._pause_seconds = pause_seconds
        self._reranker: Reranker | None = None
        self._refusal = ("", 0.0)  # a sentence, and the time until which it is repeated
        self._lock = threading.Lock()  # a model is loaded once, however many threads use it

    @property
    def manifest(self) -> Manifest | None:
        """The description of the model; None until it is loaded."""
        return self._reranker.manifest if self._reranker else None

    def score(self, query: str, documents: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vector]:
        """Score each document for the query.

        Raises:
            Backend: there is no model.
            EmbeddingError: for the same reasons as the loaded reranker.
        """
        return self.loaded().score(query, documents, options, deadline)

    def loaded(self) -> Reranker:
        """Return the reranker; load it if that was not done.

        Raises:
            Backend: there is no model.
        """
        with self._lock:
            if self._reranker is None:
                sentence, until = self._refusal
                if time.monotonic() < until:
                    raise Backend(sentence)
                try:
                    self._reranker = self._load()
                except Backend as error:
                    self._refusal = str(error), time.monotonic() + self._pause_seconds
                    raise
            return self._reranker
