"""A long text is truncated to the tokens that the tokenizer's own truncation keeps, though only a part of it is tokenized."""

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
from handler.embedding.windows import Windows
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
    """The default model's: WordPiece."""
    return Tokenizer.from_file(str(INT8 / TOKENIZER))


def cased_bert() -> Tokenizer:
    """WordPiece that keeps accents and does not part Chinese characters."""
    made = bert()
    made.normalizer = normalizers.BertNormalizer(handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return made


def byte_level(pre_tokenizer: pre_tokenizers.PreTokenizer) -> Tokenizer:
    """BPE over bytes, with a mask that takes the blanks before it, as RoBERTa has it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizer
    made.train_from_iterator(PASSAGES, trainers.BpeTrainer(vocab_size=500, initial_alphabet=ALPHABET, show_progress=False))
    made.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True)])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, made.token_to_id(name)) for name in ("<s>", "</s>")]
    )
    made.decoder = decoders.ByteLevel()
    return made


def roberta() -> Tokenizer:
    """GPT-2's splitting."""
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def gpt_4() -> Tokenizer:
    """The splitting of Llama 3, Qwen and ModernBERT's successors: three digits at a time."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    return byte_level(pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))


def unsplit() -> Tokenizer:
    """BPE without a pre-tokenizer, as of Llama 2: a text is one word."""
    made = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    made.normalizer = normalizers.NFC()
    return made


def unigram() -> Tokenizer:
    """As XLM-RoBERTa's: Unigram over pieces that begin with a blank."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        initial_alphabet=list(string.ascii_lowercase),
        unk_token="<unk>",  # noqa: S106
        special_tokens=["<s>", "</s>", "<unk>"],
        show_progress=False,
    )
    made.train_from_iterator(PASSAGES, trainer)
    made.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return made


TOKENIZERS = {made.__name__: made for made in (bert, cased_bert, roberta, gpt_4, unsplit, unigram)}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Direction], Both]:
    """Ours, and the tokenizer with its own truncation."""
    folder = tmp_path_factory.mktemp("tokenizer")
    TOKENIZERS[request.param]().save(str(folder / TOKENIZER))
    ours = Tokenization(folder, LIMIT)

    def both(direction: Direction) -> Both:
        official = Tokenizer.from_file(str(folder / TOKENIZER))
        official.enable_truncation(LIMIT, direction=direction)
        return ours, official

    return cache(both)


EXAMPLES = int(os.environ.get("TRUNCATED_TEXTS", "60"))
"""Of each tokenizer and direction; `make soak` asks for 3,000."""


@pytest.mark.parametrize("direction", DIRECTIONS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(text=st.one_of(TEXTS, SHUFFLED))
def test_a_long_text_is_truncated_to_the_tokens_that_its_tokenizer_keeps(
    tokenizers: Callable[[Direction], Both], direction: Direction, text: str
) -> None:
    """By the official tokenizer, which reads all of the text and then truncates its tokens."""
    ours, official = tokenizers(direction)
    (tokens,) = ours.tokenize([text], direction)
    assert tokens.ids.tolist() == official.encode(text).ids


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_only_a_part_of_a_long_text_is_read(tokenizers: Callable[[Direction], Both], direction: Direction) -> None:
    """Of prose, whatever the tokenizer, unless it takes a text for one word and keeps the tail."""
    ours, official = tokenizers(direction)
    text = "The words of a text, and more of them. " * 200
    (tokens,) = ours.tokenize([text], direction)
    assert tokens.ids.tolist() == official.encode(text).ids
    is_one_word = (
        official.pre_tokenizer.pre_tokenize_str("ab cd")[0][0] != "ab"
        and len(official.pre_tokenizer.pre_tokenize_str("ab cd")) == 1
    )
    assert tokens.more or (is_one_word and direction == "left")


def test_a_long_word_whose_first_tokens_depend_on_its_end_is_read_whole() -> None:
    """Unigram's best path through letters of one kind may put the odd piece first: no window shows that."""
    made = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581", -2.0), ("a", -3.0), ("aaa", -3.1), ("aaaa", -3.2)], 0, False))  # noqa: FBT003
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    windows = Windows(made, LIMIT)
    assert windows.settled("a" * 2000, 400) is None
    official = [made.encode("a" * length).ids[:LIMIT] for length in range(400, 404)]
    assert len(set(map(tuple, official))) > 1
