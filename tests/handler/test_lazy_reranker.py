"""A reranker is loaded once, at its first use; if that fails, again after a pause."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from handler.embedding.manifest import Manifest
from handler.errors import Backend
from handler.lazy_reranker import LazyReranker
from handler.service import Embeddings, Options, Reranker
from handler.vectors import NEVER, Vector
from tests.conftest import INT8


class Fake:
    """A reranker whose scores are the lengths of documents."""

    manifest = replace(Manifest.read(INT8), model_id="fake")

    def score(self, query: str, documents: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vector]:
        """Score each document by its length."""
        del options, deadline
        scores = np.array([len(document) for document in documents], np.float32)
        return Embeddings(scores, [1] * len(documents), [False] * len(documents), len(query), 9, 0, 0)


class Loader:
    """Loads a fake reranker, after `failures` failures."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self) -> Reranker:
        self.calls += 1
        if self.calls <= self._failures:
            msg = f"failure {self.calls}"
            raise Backend(msg)
        return Fake()


def test_many_threads_load_it_once() -> None:
    """Until then there is no description of it."""
    loader = Loader()
    reranker = LazyReranker(loader)
    assert (reranker.manifest, loader.calls) == (None, 0)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: reranker.score("q", ["a", "bc"], Options()).vectors.tolist(), range(50)))
    assert (found, loader.calls) == ([[1, 2]] * 50, 1)
    assert reranker.manifest == Fake.manifest


def test_a_failure_is_repeated_until_the_pause_is_over() -> None:
    """A model in S3 may be there later."""
    loader = Loader(failures=2)
    impatient, patient = LazyReranker(loader, pause_seconds=0), LazyReranker(Loader(failures=2), pause_seconds=1000)
    for sentence in ("failure 1", "failure 2"):
        with pytest.raises(Backend, match=sentence):
            impatient.loaded()
        with pytest.raises(Backend, match="failure 1"):
            patient.loaded()
    assert impatient.score("q", ["abc"], Options()).vectors.tolist() == [3]
    assert patient.manifest is None
