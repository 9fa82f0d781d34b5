"""Pairs of texts become the tokens that the official tokenizer's own truncation of pairs leaves."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.embedding.manifest import TOKENIZER
from handler.embedding.pairs import PairTokenization
from handler.embedding.tokenization import Tokenization
from handler.errors import Backend
from handler.vectors import Direction
from layers.model.corpus import passages
from tests.conftest import INT8

TEXT = " ".join(passages("scoring", 20))
TEXTS = st.one_of(
    st.text(min_size=1, max_size=30),
    st.integers(1, 600).map(lambda count: TEXT[:count]),
    st.integers(1, 100).map(lambda count: "word " * count),
    st.sampled_from(["a [SEP] b", " ", ".", "한국어 " * 30, "漢字" * 60]),
)
"""Texts that are short, as long as a window of the tokenizer, and longer.

They are not much longer: the official truncation also returns each combination of what it cuts off.
"""


@cache
def official(limit: int, direction: Direction) -> tokenizers.Tokenizer:
    """Return the tokenizer with its own truncation."""
    tokenizer = tokenizers.Tokenizer.from_file(str(INT8 / TOKENIZER))
    tokenizer.enable_truncation(limit, strategy="longest_first", direction=direction)
    return tokenizer


@cache
def ours(limit: int) -> PairTokenization:
    """Return our tokenization of pairs."""
    return PairTokenization(Tokenization(INT8, limit))


@settings(max_examples=200, deadline=None)
@given(
    query=TEXTS,
    documents=st.lists(TEXTS, min_size=1, max_size=3),
    limit=st.sampled_from([17, 32, 64]),
    direction=st.sampled_from(["right", "left"]),
)
def test_ids_types_and_truncation_are_the_official_tokenizer_s(
    query: str, documents: list[str], limit: int, direction: Direction
) -> None:
    """The longer text is truncated first, at either end; the odd token goes to the text that has more tokens."""
    for document, pair in zip(documents, ours(limit).tokenize(query, documents, direction), strict=True):
        expected = official(limit, direction).encode(query, document)
        assert np.array_equal(pair.tokens, [expected.ids, expected.type_ids])
        assert pair.truncated == bool(expected.overflowing)


def test_a_limit_without_room_for_two_texts_is_refused() -> None:
    """Three special tokens and one of each text are the fewest."""
    with pytest.raises(Backend, match=r"^a pair has 3 special tokens, and the model takes 4 tokens: it needs more$"):
        ours(4)


def test_a_tokenizer_that_knows_no_pairs_is_refused(tmp_path: Path) -> None:
    """It puts the second text before the first, or leaves one out."""
    tokenizer = tokenizers.Tokenizer.from_file(str(INT8 / TOKENIZER))
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="$A", pair="$B $A", special_tokens=[])
    tokenizer.save(str(tmp_path / TOKENIZER))
    with pytest.raises(Backend, match=r"^The model file tokenizer\.json does not say how two texts become one sequence"):
        PairTokenization(Tokenization(tmp_path, 20))
