"""Texts that cannot be encoded in time are refused by the speed that was measured, before anything is encoded."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.embedding.paced_encoder import LEAST_TOKENS, PacedEncoder
from handler.errors import OutOfTime, TooLarge
from handler.vectors import NEVER, TokenIds, Vectors


class FakeEncoder:
    """Encodes each token in `seconds_each`, by a clock that nothing else moves; it stops at the deadline, as the real one does."""

    hidden = 1
    kernels = "fake"

    def __init__(self, seconds_each: float = 0.001) -> None:
        self.now = 1000.0
        self.seconds_each = seconds_each
        self.encoded: list[int] = []

    def clock(self) -> float:
        return self.now

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        del prompt_tokens
        done: dict[int, np.ndarray[tuple[int], np.dtype[np.float32]]] = {}
        for place, sequence in enumerate(sequences):
            if self.now > deadline:
                msg = "the time ran out"
                raise OutOfTime(msg, done)
            self.now += len(sequence) * self.seconds_each
            self.encoded.append(len(sequence))
            done[place] = np.ones(1, np.float32)
        return np.ones((len(sequences), 1), np.float32)

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        self.encode(sequences, deadline)
        return [np.ones((len(sequence), 1), np.float32) for sequence in sequences]


def texts(*lengths: int) -> list[TokenIds]:
    """Make token ids of these lengths."""
    return [np.zeros(length, np.int64) for length in lengths]


def measured(fake: FakeEncoder) -> PacedEncoder:
    """Make an encoder whose speed was measured well."""
    paced = PacedEncoder(fake, fake.clock)
    for _ in range(20):
        paced.encode(texts(*[256] * 20))
    fake.encoded.clear()
    return paced


def refusal(paced: PacedEncoder, sequences: list[TokenIds], deadline: float) -> int:
    """Return the largest batch that a refusal names."""
    with pytest.raises(TooLarge) as raised:
        paced.encode(sequences, deadline)
    assert not isinstance(raised.value, OutOfTime)
    found = re.fullmatch(r".* the time left: send at most (\d+) inputs at a time", str(raised.value))
    assert found
    return int(found[1])


def test_a_batch_that_cannot_be_done_in_time_is_refused_before_anything_is_encoded() -> None:
    """1 ms a token; 100 texts of 256 tokens take 25.6 s, and 8 s are 80 % of 10 s: 31 texts."""
    fake = FakeEncoder()
    paced = measured(fake)
    sentence = "100 inputs of 25600 tokens would take about 25.6 s > 10.0 s, the time left: send at most 31 inputs at a time"
    with pytest.raises(TooLarge, match=f"^{re.escape(sentence)}$"):
        paced.encode(texts(*[256] * 100), fake.now + 10)
    assert fake.encoded == []
    assert paced.encode(texts(*[256] * 31), fake.now + 10).shape == (31, 1)


def test_vectors_of_tokens_are_refused_in_the_same_way() -> None:
    """They take the same time."""
    fake = FakeEncoder()
    with pytest.raises(TooLarge, match="send at most 31 inputs at a time"):
        measured(fake).encode_tokens(texts(*[256] * 100), fake.now + 10)
    assert fake.encoded == []


@given(lengths=st.lists(st.integers(1, 256), min_size=2, max_size=200), left=st.floats(0.5, 20), data=st.data())
def test_any_texts_of_the_largest_batch_are_done_in_time(lengths: list[int], left: float, data: st.DataObject) -> None:
    """A client may split its texts in any way. Only a single text may take longer than predicted, for it cannot be split."""
    fake = FakeEncoder(0.01)
    paced = measured(fake)
    if sum(lengths) * fake.seconds_each <= left:
        assert len(paced.encode(texts(*lengths), fake.now + left)) == len(lengths)
        return
    most = refusal(paced, texts(*lengths), fake.now + left)
    assert most < len(lengths)
    part = data.draw(st.permutations(lengths))[:most]
    deadline = fake.now + left
    assert len(paced.encode(texts(*part), deadline)) == most
    assert most == 1 or fake.now <= deadline


def test_nothing_is_refused_before_the_speed_is_known() -> None:
    """Small calls say nothing about the speed: their time is that of waking threads and of reading weights."""
    fake = FakeEncoder()
    paced = PacedEncoder(fake, fake.clock)
    for _ in range(100):
        paced.encode(texts(LEAST_TOKENS - 1))
    with pytest.raises(OutOfTime) as raised:
        paced.encode(texts(*[256] * 100), fake.now + 1)
    assert list(raised.value.done) == [0, 1, 2, 3]
    assert refusal(paced, texts(*[256] * 100), fake.now + 1) == 3  # measured by the call that ran out of time


def test_one_text_is_never_refused() -> None:
    """It cannot be sent in smaller batches."""
    fake = FakeEncoder()
    assert len(measured(fake).encode(texts(256), fake.now + 0.01)) == 1


def test_after_the_deadline_the_encoder_says_what_was_done() -> None:
    """A smaller batch would not help."""
    fake = FakeEncoder()
    with pytest.raises(OutOfTime):
        measured(fake).encode(texts(256, 256), fake.now - 1)


def test_later_calls_count_more() -> None:
    """Lambda's processors differ from minute to minute, when others use them."""
    fake = FakeEncoder()
    paced = measured(fake)
    fake.seconds_each = 0.004
    for _ in range(5):
        paced.encode(texts(*[256] * 20))
    assert refusal(paced, texts(*[256] * 100), fake.now + 10) in {7, 8}


def test_a_speed_that_was_measured_too_low_does_not_refuse_for_ever() -> None:
    """Each refusal halves what is known, until a request is tried and measured."""
    fake = FakeEncoder(1.0)
    paced = measured(fake)
    fake.seconds_each = 0.001
    refused = 0
    for _ in range(10):
        try:
            paced.encode(texts(*[256] * 20), fake.now + 29)
        except TooLarge:
            refused += 1
    assert 0 < refused < 6
    assert len(paced.encode(texts(*[256] * 100), fake.now + 29)) == 100
