"""A text's vector does not depend on the other texts of a request, on their order or on the number of threads."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.embedding.encoder import Encoder
from handler.service import Options, Service
from layers.model.builder import Order, build
from layers.model.corpus import passages
from layers.model.precision import PRECISIONS
from layers.model.sources import Source
from tests.conftest import INT8, serve
from tests.layers.model import references

TEXTS = ["a", "ä", "한국어", "🦜 🦜", "word " * 40, *passages("scoring", 19)]
OPTIONS = Options(normalize=False, use_cache=False)


@pytest.fixture(scope="module")
def services() -> list[Service]:
    """Load the same model for one, two and five threads."""
    return [serve(INT8, THREADS=threads) for threads in ("1", "2", "5")]


@pytest.fixture(scope="module")
def alone(services: list[Service]) -> dict[str, bytes]:
    """Embed each text alone."""
    return {text: services[0].embed([text], OPTIONS).vectors.tobytes() for text in TEXTS}


@settings(max_examples=200, deadline=None)
@given(batch=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=8), chosen=st.integers(0, 2))
def test_a_text_in_any_batch_has_the_same_bits_as_alone(
    services: list[Service], alone: dict[str, bytes], batch: list[str], chosen: int
) -> None:
    """A text may be in a batch several times."""
    vectors = services[chosen].embed(batch, OPTIONS).vectors
    assert [vector.tobytes() for vector in vectors] == [alone[text] for text in batch]


def test_normalized_and_shortened_vectors_do_not_depend_on_other_texts(services: list[Service]) -> None:
    """Both are computed row by row."""
    options = Options(dimensions=100, use_cache=False)
    together = services[1].embed(TEXTS, options).vectors
    apart = [services[0].embed([text], options).vectors[0] for text in TEXTS]
    assert np.array_equal(together, np.stack(apart))


POOLINGS = ["pooling-cls", "pooling-max", "pooling-weightedmean", "pooling-mean_sqrt_len_tokens", "pooling-all"]


@pytest.mark.parametrize("name", ["bert", "mpnet", "roberta", "without-prompt", "dense", *POOLINGS, *references.FAMILIES])
def test_texts_of_the_same_length_have_the_same_bits_as_alone(name: str, tmp_path: Path) -> None:
    """Some of these models compute several of them in one run; for the others that would change bits."""
    source, generator = Source(references.write(name, tmp_path / "source"), name, "1"), np.random.default_rng(1)
    manifest = build(Order(source, tmp_path / "model", "int8", (0, 0), threads=1, passages=12), lambda _: None)
    encoder = Encoder(tmp_path / "model", manifest, threads=1)
    for length in {*range(1, min(manifest.max_length, 24) + 1), manifest.max_length}:
        sequences = list(generator.integers(4, 40, (12, length)))
        together, alone = encoder.encode(sequences), [encoder.encode([sequence])[0] for sequence in sequences]
        assert [vector.tobytes() for vector in together] == [vector.tobytes() for vector in alone]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["bert", "mpnet", "qwen3", "modernbert"])
def test_a_text_in_any_batch_has_the_same_bits_as_alone_in_every_precision(name: str, precision: str, tmp_path: Path) -> None:
    """Tiny models embed the texts in reverse order and in threes, on one thread and on three."""
    source = Source(references.write(name, tmp_path / "source"), name, "1")
    build(Order(source, tmp_path / "model", precision, (0, 0), threads=1, passages=12), lambda _: None)
    one, three = (serve(tmp_path / "model", THREADS=threads) for threads in ("1", "3"))
    expected = {text: one.embed([text], OPTIONS).vectors.tobytes() for text in TEXTS}
    for service in (one, three):
        for batch in (TEXTS[::-1], *(TEXTS[start : start + 3] for start in range(0, len(TEXTS), 3))):
            vectors = service.embed(batch, OPTIONS).vectors
            assert [vector.tobytes() for vector in vectors] == [expected[text] for text in batch]
