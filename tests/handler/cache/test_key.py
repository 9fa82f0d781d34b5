"""A key tells apart whatever changes a vector, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from handler.cache.key import CacheKeys

FIELDS = st.tuples(*[st.text(max_size=6)] * 5)
"""Encoder, codec, prompt, text, truncation: short, so that their joins often are the same."""


def key(fields: tuple[str, ...], secret: str = "") -> bytes:
    """The key of five fields."""
    encoder, codec, *others = fields
    return CacheKeys(encoder, codec, secret).key(*others)


@given(st.lists(FIELDS, min_size=2, max_size=30, unique=True))
def test_no_two_lists_of_fields_share_a_key(lists: list[tuple[str, ...]]) -> None:
    """Any five strings, lone surrogates and empty ones included."""
    assert len({key(fields) for fields in lists}) == len(lists)


@given(FIELDS, st.integers(0, 4), st.integers(0, 4), st.integers(0, 6))
def test_moving_the_border_between_two_fields_changes_the_key(
    fields: tuple[str, ...], giving: int, taking: int, length: int
) -> None:
    """Text that looks like a prompt is text, and so on: the joined bytes are the same, the key is not."""
    moved = list(fields)
    moved[giving], given_away = moved[giving][length:], moved[giving][:length]
    moved[taking] += given_away
    assert (key(tuple(moved)) == key(fields)) == (tuple(moved) == fields)


@given(FIELDS)
def test_the_same_fields_have_the_same_key_in_every_process(fields: tuple[str, ...]) -> None:
    """32 bytes, from the fields alone."""
    assert key(fields) == key(fields)
    assert len(key(fields)) == 32


def test_a_key_is_what_it_was() -> None:
    """A change here throws every table away: it must be meant."""
    assert (
        key(("encoder", "codec", "prompt", "text", "")).hex() == "f30e8ca1a3d9c4b9b5013defba3083292c631145f970dc7f0f356267a4ae6562"
    )


def test_a_secret_makes_other_keys() -> None:
    """Of any length, and a different one for each."""
    fields = ("encoder", "codec", "", "text", "")
    assert len({key(fields, secret) for secret in ("", "one", "two", "long" * 50)}) == 4
