"""A batch that the time was too short for: its finished vectors are cached, and a retry resumes where it stopped."""

from collections.abc import Sequence

import numpy as np
import pytest

from handler.cache.codec import Scaled16
from handler.cache.key import CacheKeys
from handler.cache.memory import Memory
from handler.cache.vector_cache import MEMORY_ONLY, VectorCache
from handler.config import Settings
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization
from handler.embedding_service import EmbeddingService
from handler.errors import OutOfTime
from handler.service import Options
from handler.vectors import NEVER, TokenIds, Vectors
from tests.conftest import INT8

MANIFEST = Manifest.read(INT8)
TEXTS = [f"text number {number}" for number in range(10)]


class FewAtATime:
    """An encoder that the deadline always strikes after `few` texts, the longest first."""

    hidden = MANIFEST.dimension
    kernels = "fake"

    def __init__(self, few: int) -> None:
        self.few = few
        self.calls: list[int] = []

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        del deadline, prompt_tokens
        self.calls.append(len(sequences))
        vectors = np.stack([np.linspace(0.1, float(sequence.sum()), self.hidden, dtype=np.float32) for sequence in sequences])
        if len(sequences) > self.few:
            msg = "the time ran out"
            raise OutOfTime(msg, {place: vectors[place] for place in reversed(range(self.few))})
        return vectors

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        raise NotImplementedError


def service_of(encoder: FewAtATime) -> EmbeddingService:
    """Make a service that caches in memory."""
    codec = Scaled16(MANIFEST.dimension)
    cache = VectorCache(CacheKeys("fingerprint", codec.version, ""), codec, Memory(10_000_000), MEMORY_ONLY)
    settings = Settings.from_environment({"MODEL_DIR": str(INT8)})
    return EmbeddingService(settings, MANIFEST, Tokenization(INT8, MANIFEST.max_length), encoder, cache)


def test_a_retry_encodes_only_what_was_not_finished() -> None:
    """Ten texts, four at a time: the third try has two left, and its vectors are those of a service with time enough."""
    encoder = FewAtATime(4)
    service = service_of(encoder)
    for _ in range(2):
        with pytest.raises(OutOfTime):
            service.embed(TEXTS, Options())
    result = service.embed(TEXTS, Options())
    assert encoder.calls == [10, 6, 2]
    assert (result.hits, result.misses) == (8, 2)
    assert result.vectors.tobytes() == service_of(FewAtATime(10)).embed(TEXTS, Options()).vectors.tobytes()


def test_nothing_is_cached_if_the_request_excludes_the_cache() -> None:
    """Then a retry starts again."""
    encoder = FewAtATime(4)
    service = service_of(encoder)
    for _ in range(2):
        with pytest.raises(OutOfTime):
            service.embed(TEXTS, Options(use_cache=False))
    assert encoder.calls == [10, 10]


def test_a_deadline_before_the_first_vector_caches_nothing() -> None:
    """The error is the same."""
    encoder = FewAtATime(0)
    service = service_of(encoder)
    for _ in range(2):
        with pytest.raises(OutOfTime):
            service.embed(TEXTS, Options())
    assert encoder.calls == [10, 10]


class DeadlineAfter(float):
    """A deadline that passes after so many looks at the clock."""

    looks: int

    def __lt__(self, now: float) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
def test_the_encoder_hands_over_the_vectors_that_it_finished(looks: int) -> None:
    """They are those of a call in time. Long texts are encoded first."""
    encoder, tokenization = Encoder(INT8, MANIFEST, threads=1), Tokenization(INT8, MANIFEST.max_length)
    tokens = [text.ids for text in tokenization.tokenize([f"{number} " + "word " * number for number in (9, 70, 80, 90)], "right")]
    expected = encoder.encode(tokens)
    deadline = DeadlineAfter(0)
    deadline.looks = looks
    with pytest.raises(OutOfTime, match=rf"^the time ran out: {looks} of 4 inputs were embedded in ") as raised:
        encoder.encode(tokens, deadline)
    assert list(raised.value.done) == [3, 2, 1][:looks]
    assert all(np.array_equal(vector, expected[place]) for place, vector in raised.value.done.items())
