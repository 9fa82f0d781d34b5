"""Two vectors have different keys if anything that decides a vector differs, and only then."""

from hypothesis import given
from hypothesis import strategies as st

from handler.cache.key import CacheKeys

FIELDS = st.tuples(*[st.text(max_size=6)] * 5)
"""Encoder, codec, prompt, text and truncation. They are short, so that joined fields are often the same."""


def key(fields: tuple[str, ...], secret: str = "") -> bytes:
    """Return the key of five fields."""
    encoder, codec, *others = fields
    return CacheKeys(encoder, codec, secret).key(*others)


@given(st.lists(FIELDS, min_size=2, max_size=30, unique=True))
def test_no_two_lists_of_fields_share_a_key(lists: list[tuple[str, ...]]) -> None:
    """The fields may be any five strings, including lone surrogates and empty ones."""
    assert len({key(fields) for fields in lists}) == len(lists)


@given(FIELDS, st.integers(0, 4), st.integers(0, 4), st.integers(0, 6))
def test_moving_the_border_between_two_fields_changes_the_key(
    fields: tuple[str, ...], giving: int, taking: int, length: int
) -> None:
    """For example, a text that begins with the prompt has another key than the same characters as prompt and text."""
    moved = list(fields)
    moved[giving], given_away = moved[giving][length:], moved[giving][:length]
    moved[taking] += given_away
    assert (key(tuple(moved)) == key(fields)) == (tuple(moved) == fields)


@given(FIELDS)
def test_the_same_fields_have_the_same_key_in_every_process(fields: tuple[str, ...]) -> None:
    """A key has 32 bytes and depends on the fields only."""
    assert key(fields) == key(fields)
    assert len(key(fields)) == 32


def test_a_key_does_not_change_between_versions() -> None:
    """After a change, no row of any table is found: such a change must be intended."""
    assert (
        key(("encoder", "codec", "prompt", "text", "")).hex() == "f30e8ca1a3d9c4b9b5013defba3083292c631145f970dc7f0f356267a4ae6562"
    )


def test_each_secret_gives_other_keys() -> None:
    """A secret may have any length."""
    fields = ("encoder", "codec", "", "text", "")
    assert len({key(fields, secret) for secret in ("", "one", "two", "long" * 50)}) == 4
