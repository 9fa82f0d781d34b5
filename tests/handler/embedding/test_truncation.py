"""A long text is truncated to the same tokens as by the tokenizer's own truncation, although only a part of it is tokenized."""

import os
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from handler.embedding.manifest import TOKENIZER
from handler.embedding.tokenization import Tokenization
from handler.embedding.truncation import Truncator
from handler.vectors import Direction
from tests.handler.embedding.tokenizer_kinds import SHUFFLED, TEXTS, TOKENIZERS

LIMIT = 16
DIRECTIONS: list[Direction] = ["left", "right"]
type Both = tuple[Tokenization, Tokenizer]


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Direction], Both]:
    """Return for a direction our tokenization, and the official tokenizer with its own truncation."""
    folder = tmp_path_factory.mktemp("tokenizer")
    TOKENIZERS[request.param]().save(str(folder / TOKENIZER))
    ours = Tokenization(folder, LIMIT)

    def both(direction: Direction) -> Both:
        official = Tokenizer.from_file(str(folder / TOKENIZER))
        official.enable_truncation(LIMIT, direction=direction)
        return ours, official

    return cache(both)


EXAMPLES = int(os.environ.get("TRUNCATED_TEXTS", "60"))
"""The number of texts for each tokenizer and direction. `make soak` tries 3,000."""


@pytest.mark.parametrize("direction", DIRECTIONS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(text=st.one_of(TEXTS, SHUFFLED))
def test_a_long_text_is_truncated_to_the_tokens_that_its_tokenizer_keeps(
    tokenizers: Callable[[Direction], Both], direction: Direction, text: str
) -> None:
    """The official tokenizer reads the whole text and then truncates its tokens."""
    ours, official = tokenizers(direction)
    (tokens,) = ours.tokenize([text], direction)
    assert tokens.ids.tolist() == official.encode(text).ids


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_only_a_part_of_a_long_text_is_read(tokenizers: Callable[[Direction], Both], direction: Direction) -> None:
    """The text is prose. Only a tokenizer that takes it as one word reads it to its end, to keep its tail."""
    ours, official = tokenizers(direction)
    text = "The words of a text, and more of them. " * 200
    (tokens,) = ours.tokenize([text], direction)
    assert tokens.ids.tolist() == official.encode(text).ids
    is_one_word = (
        official.pre_tokenizer.pre_tokenize_str("ab cd")[0][0] != "ab"
        and len(official.pre_tokenizer.pre_tokenize_str("ab cd")) == 1
    )
    assert tokens.is_lower_bound or (is_one_word and direction == "left")


def test_a_long_word_whose_first_tokens_depend_on_its_end_is_read_whole() -> None:
    """Unigram may put the shorter piece of a word of one letter first, depending on the word's length. No window shows that."""
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581", -2.0), ("a", -3.0), ("aaa", -3.1), ("aaaa", -3.2)], 0, False))  # noqa: FBT003
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert Truncator(tokenizer, LIMIT).kept_of_long_word("a" * 2000, 400) is None
    official = [tokenizer.encode("a" * length).ids[:LIMIT] for length in range(400, 404)]
    assert len(set(map(tuple, official))) > 1
