"""A long text is split into chunks that cover it, fit into the model, and end where a reader would end them."""

import json
import os
import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.chunking import Chunk, Chunking, NoRoom, TokenCounts, split
from handler.embedding.manifest import TOKENIZER
from handler.embedding.tokenization import Tokenization
from handler.errors import TooLarge, Validation
from handler.service import Options, Service
from handler.text_borders import find_paragraphs, find_sentences, find_words, is_between_characters
from tests.conftest import INT8, serve
from tests.handler.embedding.tokenizer_kinds import SHUFFLED, TEXTS, TOKENIZERS
from tests.secrecy import say

EXAMPLES = int(os.environ.get("SPLIT_TEXTS", "60"))
"""The number of texts for each tokenizer. `make soak` tries 2,000."""
SENTENCES = st.lists(
    st.sampled_from(["One", "two three", "unbelievably", "e.g. this", "\u6f22\u5b57", "caf\u00e9"]), min_size=1, max_size=9
).map(lambda words: " ".join(words) + ". ")
PROSE = st.lists(
    st.one_of(SENTENCES, st.sampled_from(["\n\n", "\n", "\n# Title\n", "\n- item\n", "\t ", "\u3002"])), max_size=60
).map("".join)
ANY = st.one_of(PROSE, TEXTS, SHUFFLED)
LIMITS = st.integers(40, 90)


def count_words(text: str) -> TokenCounts:
    """Return counts in which each word is a token."""
    return TokenCounts([match.start() for match in re.finditer(r"\S+", text)], lambda part: len(part.split()))


def parts(text: str, limit: int, overlap: int = 0) -> list[str]:
    """Split a text by its words; return the texts of the chunks."""
    return [text[chunk.start : chunk.end] for chunk in split(text, count_words(text), limit, overlap)]


@pytest.fixture(scope="module", params=TOKENIZERS)
def counts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TokenCounts]:
    """Return a function that counts the tokens of a text as a model with a prompt does, for one kind of tokenizer."""
    folder = tmp_path_factory.mktemp("tokenizer")
    TOKENIZERS[request.param]().save(str(folder / TOKENIZER))
    tokenization = Tokenization(folder, 512)
    return lambda text: TokenCounts(tokenization.find_starts(text), lambda part: tokenization.count("passage: " + part))


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=ANY, limit=LIMITS, overlap=st.integers(0, 12))
def test_chunks_cover_the_text_and_none_exceeds_the_limit(
    counts: Callable[[str], TokenCounts], text: str, limit: int, overlap: int
) -> None:
    """The prompt and the special tokens count. Only blanks are in no chunk, and no chunk begins or ends with one."""
    say(text)
    tokens = counts(text)
    chunks = split(text, tokens, limit, overlap)
    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    assert [character for place, character in enumerate(text) if place not in covered and not character.isspace()] == []
    for chunk in chunks:
        part = text[chunk.start : chunk.end]
        assert part == part.strip() != ""
        assert tokens.count(part) <= limit
    assert all(before.start < after.start and before.end < after.end for before, after in pairwise(chunks))
    assert chunks == split(text, tokens, limit, overlap)


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=ANY, limit=LIMITS, overlap=st.integers(0, 12))
def test_a_chunk_repeats_as_many_whole_words_as_fit_into_the_overlap(
    counts: Callable[[str], TokenCounts], text: str, limit: int, overlap: int
) -> None:
    """It repeats fewer only if another word before it would not leave room for the next one."""
    say(text)
    tokens = counts(text)
    words = [0, *find_words(text), len(text)]
    for before, after in pairwise(split(text, tokens, limit, overlap)):
        assert tokens.between(after.start, before.end) <= overlap
        if after.start not in words or overlap == 0:
            continue  # the chunk begins inside a word that is longer than a chunk, or repeats nothing
        earlier = words[words.index(after.start) - 1]
        next_word = next(word for word in words if word > before.end and text[before.end : word].strip())
        assert (
            tokens.between(earlier, before.end) > overlap
            or earlier <= before.start
            or tokens.count(text[earlier:next_word].rstrip()) > limit
        )


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=ANY, limit=LIMITS, overlap=st.integers(0, 12))
def test_only_what_is_longer_than_a_chunk_is_split_inside(
    counts: Callable[[str], TokenCounts], text: str, limit: int, overlap: int
) -> None:
    """A word has no border inside. A character, as Unicode defines it for readers, may have several code points."""
    say(text)
    tokens = counts(text)
    words = [0, *find_words(text), len(text)]
    characters = [match.span() for match in regex.finditer(r"(?!\s)\X", text)]
    for before, after in pairwise(split(text, tokens, limit, overlap)):
        for place in (before.end, after.start):
            begin, end = (
                max(word for word in words if word <= place),
                min(word for word in words if word > place or word == len(text)),
            )
            is_inside_word = begin < place and text[place:end].strip() and not text[place].isspace()
            assert not is_inside_word or tokens.count(text[begin:end].strip()) > limit, (text[begin:end], place)
            inside = [(start, stop) for start, stop in characters if start < place < stop]
            assert all(tokens.count(text[start:stop]) > limit for start, stop in inside), inside


def test_a_short_text_is_one_chunk_without_the_blanks_around_it() -> None:
    """A blank text has no chunk."""
    assert split("\n A few words.\t", count_words("\n A few words.\t"), 32, 8) == [Chunk(2, 14)]
    assert split(" \n", count_words(" \n"), 32, 8) == []


def test_a_chunk_ends_at_the_last_paragraph_if_that_makes_it_half_full() -> None:
    """A sentence would end later, and is not asked."""
    paragraph = "one two three four five six.\n\n"
    assert parts(paragraph + "Seven eight. " * 8, 10) == [
        paragraph.strip(),
        *["Seven eight. Seven eight. Seven eight. Seven eight. Seven eight."],
        "Seven eight. " * 2 + "Seven eight.",
    ]


def test_a_chunk_ends_at_a_sentence_if_no_paragraph_makes_it_half_full() -> None:
    """A heading alone, or an abbreviation, ends no chunk."""
    assert parts("# Title\n\nOne two three, e.g. four. Five six seven eight nine ten. Eleven.", 9) == [
        "# Title\n\nOne two three, e.g. four.",
        "Five six seven eight nine ten. Eleven.",
    ]


def test_a_chunk_ends_at_a_word_if_no_sentence_makes_it_half_full() -> None:
    """The sentence has eleven words."""
    assert parts("One. Two three four five six seven eight nine ten eleven.", 8) == [
        "One. Two three four five six seven eight",
        "nine ten eleven.",
    ]


def test_the_next_chunk_begins_with_the_last_words() -> None:
    """Three words are shared."""
    text = " ".join(map(str, range(20)))
    assert parts(text, 8, 3) == ["0 1 2 3 4 5 6 7", "5 6 7 8 9 10 11 12", "10 11 12 13 14 15 16 17", "15 16 17 18 19"]


def test_sentences_end_where_readers_say_so() -> None:
    """Initials, numbers and abbreviations before small letters end none. Ideographs need no blank; items of a list begin one."""
    text = 'J. Smith paid $1.50, e.g. in May. "Really?" Yes! \u597d\u3002\u597d\u3002\n- item\n1. other'
    begins = [0, *find_sentences(text), len(text)]
    assert [text[begin:end].strip() for begin, end in pairwise(begins)] == [
        "J. Smith paid $1.50, e.g. in May.",
        '"Really?"',
        "Yes!",
        "\u597d\u3002",
        "\u597d\u3002",
        "- item",
        "1. other",
    ]


def test_paragraphs_begin_after_blank_lines_and_at_headings() -> None:
    """A single line end is the end of a line only."""
    text = "a\nb\n \n\n  c\n## d\n#e"
    assert [text[place] for place in find_paragraphs(text)] == ["c", "#"]


def test_a_family_of_emoji_and_an_accent_are_never_split() -> None:
    """Each code point is a token here. A character that is longer than a chunk alone is split between its code points."""
    family, flag, accent = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7", "e\u0301"
    text = (family + flag + accent) * 5
    chunks = split(text, TokenCounts(range(len(text)), len), 7, 0)
    assert "".join(text[chunk.start : chunk.end] for chunk in chunks) == text
    assert {text[chunk.start : chunk.end] for chunk in chunks} == {family + flag, accent + family, flag + accent, accent}
    assert len(split(family, TokenCounts(range(5), len), 2, 0)) == 3


@pytest.mark.parametrize(
    ("text", "borders"),
    [
        ("e\u0301a", [2]),
        ("\r\na", [2]),
        ("\u1100\u1161\u11a8\u1100", [3]),
        ("\uac00\u11a8\uac00", [2]),
        ("\u0915\u094d\u0937\u0915", [3]),
        ("\u0915\u094d\u200d\u0937", []),
        ("\u200d\u1100", [1]),
        ("\U0001f44d\U0001f3fda", [2]),
        ("\U0001f1eb\U0001f1f7\U0001f1ea\U0001f1fa", [2]),
        (" \u0301", [1]),
    ],
)
def test_characters_are_those_of_readers(text: str, borders: list[int]) -> None:
    """Unicode calls them extended grapheme clusters."""
    assert [place for place in range(1, len(text)) if is_between_characters(text, place)] == borders


def test_a_character_with_more_tokens_than_a_chunk_is_named() -> None:
    """Nothing is lost in silence."""
    with pytest.raises(NoRoom) as raised:
        split("ab \ufdfa", TokenCounts([0, 1, *[3] * 18], lambda part: 18 if "\ufdfa" in part else len(part)), 5, 0)
    assert raised.value.place == 3


@pytest.mark.parametrize(
    "text", ["\n" * 300_000, "a" * 300_000, ". " * 150_000, "\U0001f1eb" * 3_000, "\u6f22" * 100_000, ".\"'" * 100_000]
)
def test_a_hostile_text_is_split_like_any_other(text: str) -> None:
    """A pattern that tries every end for every beginning would take hours."""
    split(text, TokenCounts(range(len(text)), len), 256, 32)


def test_the_model_reads_every_chunk_whole(service: Service) -> None:
    """The default model takes 256 tokens; a larger limit is lowered to that."""
    text = "The words of a passage, and its end. " * 300
    say(text)
    chunks = service.chunks_of(text, Options(), Chunking(1000, 32))
    embeddings = service.embed([text[chunk.start : chunk.end] for chunk in chunks], Options(truncate=False))
    assert max(embeddings.tokens_each) > 200
    assert not any(embeddings.truncated_each)


def test_the_model_s_prompt_takes_room_in_every_chunk(tmp_path: Path, service: Service) -> None:
    """The prompt by default, or the one that the record names."""
    for path in INT8.iterdir():
        (tmp_path / path.name).symlink_to(path)
    manifest = json.loads((INT8 / "manifest.json").read_text())
    (tmp_path / "manifest.json").unlink()
    prompts = {"prompts": {"query": "", "passage": "A passage of this document: "}, "default_prompt_name": "passage"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | prompts))
    prompted, text = serve(tmp_path), "The words of a passage, and its end. " * 300
    say(text)
    chunks = prompted.chunks_of(text, Options(), Chunking(64))
    assert (
        chunks
        != prompted.chunks_of(text, Options(prompt_name="query"), Chunking(64))
        == service.chunks_of(text, Options(), Chunking(64))
    )
    embeddings = prompted.embed([text[chunk.start : chunk.end] for chunk in chunks], Options(truncate=False))
    assert 48 < max(embeddings.tokens_each) <= 64


def test_a_text_of_a_million_characters_is_tokenized_in_parts(service: Service) -> None:
    """The parts end at blanks, so they have the same tokens as the whole text."""
    text = "A sentence of eight words is no chunk. " * 26_000
    say(text)
    chunks = service.chunks_of(text, Options(), Chunking(256))
    assert [chunk.start for chunk in chunks[:3]] == [0, chunks[0].end + 1, chunks[1].end + 1]
    assert {text[chunk.start : chunk.end] for chunk in chunks[:-1]} == {text[: chunks[0].end]}


def test_splitting_ends_when_the_time_runs_out(service: Service) -> None:
    """A pipeline then retries the document."""
    with pytest.raises(TooLarge, match="the time ran out"):
        service.chunks_of("words " * 1000, Options(), Chunking(64), time.monotonic() - 1)


def test_a_prompt_must_leave_room_for_text(service: Service) -> None:
    """The sentence has the numbers."""
    with pytest.raises(Validation, match="at most 17 tokens, of which the prompt and the special tokens take 2: at least 16"):
        service.chunks_of("Some text.", Options(), Chunking(17))
