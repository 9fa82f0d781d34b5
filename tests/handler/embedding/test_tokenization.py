"""Text to token ids."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.embedding.tokenization import Tokenization
from handler.errors import RefusedText, Tokenizer, TooLarge, Validation
from handler.vectors import Direction
from tests.conftest import INT8, ROOT

LIMIT = 16
CLS, SEP = 101, 102
TOKENIZATION = Tokenization(INT8, LIMIT)
WHOLE = Tokenization(INT8, 10**9)
DIRECTIONS: list[Direction] = ["left", "right"]


def test_a_short_text_is_its_tokens_between_the_special_ones() -> None:
    """It is neither padded nor truncated."""
    (tokens,) = TOKENIZATION.tokenize(["hello world"], "right")
    assert tokens.ids.tolist() == [CLS, 7592, 2088, SEP]
    assert not tokens.truncated


@given(text=st.text(st.characters(codec="utf-8"), max_size=80))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_long_text_keeps_its_special_tokens_and_one_end(text: str, direction: Direction) -> None:
    """[CLS] tail [SEP] on the left, [CLS] head [SEP] on the right; a short text stays whole."""
    (whole,), (truncated,) = WHOLE.tokenize([text], direction), TOKENIZATION.tokenize([text], direction)
    body = whole.ids[1:-1]
    kept = body[max(0, len(body) - (LIMIT - 2)) :] if direction == "left" else body[: LIMIT - 2]
    assert truncated.ids.tolist() == [CLS, *kept.tolist(), SEP]
    assert truncated.total == len(whole.ids) or (truncated.is_lower_bound and LIMIT < truncated.total <= len(whole.ids))
    assert truncated.truncated == (len(whole.ids) > LIMIT)


def test_a_special_token_written_in_a_text_is_text() -> None:
    """It is truncated like any other word. Only the special tokens that the tokenizer adds are kept."""
    (tokens,) = TOKENIZATION.tokenize(["[SEP] " * 40], "left")
    assert tokens.ids.tolist() == [CLS, *[SEP] * (LIMIT - 2), SEP]
    assert LIMIT < tokens.total <= 42


def test_token_ids_are_one_row_of_int64_as_onnx_runtime_takes_them() -> None:
    """Other types would be refused when the graph is run."""
    (tokens,) = TOKENIZATION.tokenize(["word " * 40], "right")
    assert tokens.ids.dtype == np.int64
    assert tokens.ids.ndim == 1


def test_a_lone_surrogate_is_refused_with_its_index_and_position() -> None:
    """It is not a character, and no tokenizer can encode it."""
    with pytest.raises(Tokenizer, match=r"`inputs\[1\]` is not valid Unicode.* U\+D800 at position 2"):
        TOKENIZATION.tokenize(["fine", "ab\ud800"], "right")


def test_tokenizing_ends_at_the_deadline() -> None:
    """The deadline is checked before each batch."""
    with pytest.raises(TooLarge, match=r"^the time ran out: 0 of 2 inputs were tokenized in 0\.\d s, send fewer or shorter"):
        TOKENIZATION.tokenize(["a", "b" * 5000], "right", deadline=time.monotonic() - 1)
    with pytest.raises(TooLarge, match=r"^the time ran out: 0 of 1 inputs were tokenized"):
        TOKENIZATION.describe(["a"], special=True, deadline=time.monotonic() - 1)


def test_a_text_that_cannot_be_truncated_is_refused_with_the_client_s_index() -> None:
    """For one word of a million letters, the tokenizer would need 60 MB and a second, and return one unknown token."""
    with pytest.raises(RefusedText, match=r" cannot be truncated to 16 tokens: its first 262144 .* 1000000 characters$") as caught:
        TOKENIZATION.tokenize(["a" * 1_000_000], "right", places=[7])
    assert caught.value.place == 7


def test_many_texts_without_words_are_refused_in_one_request_and_accepted_in_several() -> None:
    """A single text is read to its end."""
    texts = ["a" * 12_000 + str(number) for number in range(200)]
    with pytest.raises(Validation, match="Send fewer texts at a time"):
        TOKENIZATION.tokenize(texts, "right")
    assert [tokens.ids.tolist() for tokens in TOKENIZATION.tokenize(texts[:2], "right")] == [[CLS, 100, SEP]] * 2


CHARACTERS = 6_200_000
"""The largest text that can reach a function, in bytes of UTF-8."""
HOSTILE = {
    "exclamation marks": "!",
    "one long word": "a",
    "short words": "a ",
    "line feeds": "\n",
    "controls": "\x01",
    "Chinese": "漢字仮名交文書",
    "emoji": "😀🦜👨",
    "combining marks": "\u0301",
    "letters with marks": "a\u0301",
    "Hangul letters": "\u1112\u1161\u11ab",
    "hieroglyphs": "\U00013000",
}
PROGRAM = """
import resource, sys, time
from handler.embedding.tokenization import Tokenization
from handler.errors import EmbeddingError
from tests.conftest import INT8
default = Tokenization(INT8, 256)
text = ascii_text.encode().decode("unicode_escape") * times
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
for texts in ([text], [text[12_000 * place : 12_000 * (place + 1)] + str(place) for place in range(512)]):
    for direction in ("right", "left"):
        try:
            default.tokenize(texts, direction)
        except EmbeddingError as error:
            print(error, file=sys.stderr)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, time.process_time() - started)
"""
DEFAULT = Tokenization(INT8, 256)


SAMPLE = ("exclamation marks", "one long word", "Chinese")
"""The scripts that `make test` tries. `make soak` tries all."""


@pytest.mark.parametrize("name", HOSTILE if "TRUNCATED_TEXTS" in os.environ else SAMPLE)
def test_no_script_takes_much_time_or_memory_before_it_is_truncated_or_refused(name: str) -> None:
    """6.2 MB as one text and as 512 texts, truncated at either end, take at most 300 MB.

    Each of the four calls takes at most 3 s of CPU time. The test allows three times as much, for slow machines. Tokenizing the
    whole text took 27 s and 2.1 GB for exclamation marks, and 12 s and 877 MB for Chinese.
    """
    unit = HOSTILE[name]
    times = CHARACTERS // len(unit.encode())
    program = f"ascii_text = {ascii(unit)[1:-1]!r}; times = {times}{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    megabytes, seconds = done.stdout.split()
    assert int(megabytes) < 300, done.stdout
    assert float(seconds) < 4 * 3 * 3, done.stdout
