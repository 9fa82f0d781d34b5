"""One tokenizer of each kind that models have, and texts that are hard for them."""

import string

from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from handler.embedding.manifest import TOKENIZER
from tests.conftest import INT8

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
