"""Text to token ids."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.embedding.tokenization import Direction, Tokenization
from handler.errors import Tokenizer
from tests.conftest import INT8, ROOT

LIMIT = 16
CLS, SEP = 101, 102
TOKENIZATION = Tokenization(INT8, LIMIT)
UNCUT = Tokenization(INT8, 10**9)
DIRECTIONS: list[Direction] = ["left", "right"]


def test_a_short_text_is_its_tokens_between_the_special_ones() -> None:
    """Neither padded nor cut."""
    (tokens,) = TOKENIZATION.tokenize(["hello world"], "right")
    assert tokens.ids.tolist() == [CLS, 7592, 2088, SEP]
    assert not tokens.truncated


@given(text=st.text(st.characters(codec="utf-8"), max_size=80))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_long_text_keeps_its_special_tokens_and_one_end(text: str, direction: Direction) -> None:
    """[CLS] tail [SEP] on the left, [CLS] head [SEP] on the right; a short text stays whole."""
    (whole,), (cut,) = UNCUT.tokenize([text], direction), TOKENIZATION.tokenize([text], direction)
    body = whole.ids[1:-1]
    kept = body[max(0, len(body) - (LIMIT - 2)) :] if direction == "left" else body[: LIMIT - 2]
    assert cut.ids.tolist() == [CLS, *kept.tolist(), SEP]
    assert cut.given == len(whole.ids)
    assert cut.truncated == (len(whole.ids) > LIMIT)


def test_a_special_token_written_in_a_text_is_text() -> None:
    """It is cut like any other word: only the tokenizer's own special tokens stay."""
    (tokens,) = TOKENIZATION.tokenize(["[SEP] " * 40], "left")
    assert len(tokens.ids) == LIMIT
    assert tokens.given == 42


def test_token_ids_are_what_onnx_runtime_takes() -> None:
    """A row of int64."""
    (tokens,) = TOKENIZATION.tokenize(["word " * 40], "right")
    assert tokens.ids.dtype == np.int64
    assert tokens.ids.ndim == 1


def test_a_lone_surrogate_is_refused_by_its_place() -> None:
    """It is no character, and no tokenizer can encode it."""
    with pytest.raises(Tokenizer, match=r"`inputs\[1\]` is not valid Unicode.* U\+D800 at position 2"):
        TOKENIZATION.tokenize(["fine", "ab\ud800"], "right")


@given(
    words=st.lists(
        st.sampled_from(["word", "unbelievably", "한국어", "a,b;c", "\u200b", "🦜", "x" * 120]), min_size=200, max_size=600
    )
)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_very_long_text_is_cut_as_if_all_of_it_had_been_tokenised(words: list[str], direction: Direction) -> None:
    """Though only as much of it is as certainly holds enough."""
    text = " ".join(words)
    (whole,), (cut,) = UNCUT.tokenize([text], direction), TOKENIZATION.tokenize([text], direction)
    body = whole.ids[1:-1]
    kept = body[max(0, len(body) - (LIMIT - 2)) :] if direction == "left" else body[: LIMIT - 2]
    assert cut.ids.tolist() == [CLS, *kept.tolist(), SEP]
    assert cut.truncated == (len(whole.ids) > LIMIT)


@pytest.mark.parametrize("text", ["a " * 3_000_000, "a" * 6_000_000, "\n" * 6_000_000])
def test_six_megabytes_are_cut_in_little_time_and_memory(text: str) -> None:
    """The most that reaches a function; tokenising all of the first took 1,400 MB."""
    program = "import resource, sys; from tests.handler.embedding.test_tokenization import TOKENIZATION as tokenization; "
    program += f"text = {text[:2]!r} * ({len(text)} // {len(text[:2])}); "
    program += "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; tokenization.tokenize([text], 'right'); "
    program += "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 512, done.stdout
