"""A long text is truncated to the same tokens as by the tokenizer's own truncation, although only a part of it is tokenized."""

import os
import string
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from handler.embedding.manifest import TOKENIZER
from handler.embedding.tokenization import Tokenization
from handler.embedding.truncation import Truncator
from handler.vectors import Direction
from tests.conftest import INT8

LIMIT = 16
DIRECTIONS: list[Direction] = ["left", "right"]
CHUNKS = [
    *(
        "word ",
        "unbelievably ",
        "don't",
        "it'll",
        "a",
        "aa",
        "b",
        "ab",
        "1",
        "12345",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        ".",
        "!!!",
        ", ",
    ),
    *(
        "漢字仮名",
        "哈",
        "\uff0c",
        "。",
        "한국어",
        "ᄒ",
        "ᅡ",
        "ᆫ",
        "が",
        "か\u3099",
        "हिन्दी",
        "Straße",
        "İ",
        "ﬁ",
        "㍿",
        "ﷺ",
        "①",
        "é",
        "e\u0301",
    ),
    *(
        "\u0301",
        "\u0323",
        "\u200b",
        "\u200d",
        "\x00",
        "\x01",
        "\ufffd",
        "\ue000",
        "🦜",
        "👨‍👩‍👧",
        "[SEP]",
        "<mask>",
        "<ma",
        "[SE",
        "_",
        "x" * 120,
        "▁",
        "Ġ",
    ),
]
PASSAGES = [*["the words of a text don't say it'll be aaaa bb abab 12345 !!! 漢字仮名 哈哈哈 한국어 , . " * 3] * 5, *CHUNKS]
TEXTS = st.lists(st.tuples(st.sampled_from(CHUNKS), st.integers(1, 60)), min_size=1, max_size=12).map(
    lambda parts: "".join(chunk * times for chunk, times in parts)
)
SHUFFLED = st.lists(st.sampled_from(CHUNKS), min_size=30, max_size=250).map("".join)
type Both = tuple[Tokenization, Tokenizer]
ALPHABET = pre_tokenizers.ByteLevel.alphabet()


def bert() -> Tokenizer:
    """Return the default model's tokenizer, which is WordPiece."""
    return Tokenizer.from_file(str(INT8 / TOKENIZER))


def cased_bert() -> Tokenizer:
    """Return a WordPiece tokenizer that keeps accents and does not split Chinese characters."""
    tokenizer = bert()
    tokenizer.normalizer = normalizers.BertNormalizer(handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return tokenizer


def byte_level(pre_tokenizer: pre_tokenizers.PreTokenizer) -> Tokenizer:
    """Return a byte-level BPE tokenizer whose mask token includes the blanks before it, like RoBERTa's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(PASSAGES, trainers.BpeTrainer(vocab_size=500, initial_alphabet=ALPHABET, show_progress=False))
    tokenizer.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def roberta() -> Tokenizer:
    """Return a tokenizer that splits words like GPT-2's."""
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def gpt_4() -> Tokenizer:
    """Return a tokenizer that splits words like those of GPT-4, Llama 3 and Qwen: at most three digits at a time."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    return byte_level(pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))


def unsplit() -> Tokenizer:
    """Return a BPE tokenizer that takes a text as one word, like Llama 2's."""
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def unigram() -> Tokenizer:
    """Return a Unigram tokenizer whose words begin with a blank, like XLM-RoBERTa's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        initial_alphabet=list(string.ascii_lowercase),
        unk_token="<unk>",  # noqa: S106
        special_tokens=["<s>", "</s>", "<unk>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(PASSAGES, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return tokenizer


TOKENIZERS = {make.__name__: make for make in (bert, cased_bert, roberta, gpt_4, unsplit, unigram)}


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
