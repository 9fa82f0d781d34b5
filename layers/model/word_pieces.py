"""Make the tokenizer of a vocab.txt, for folders without a tokenizer.json.

It is the tokenizer that transformers makes: words are lower-cased and lose their accents unless tokenizer_config.json says
otherwise, and special tokens are those of the class unless that file names others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from layers.model import special_tokens
from layers.model.configuration import Configuration, Unsupported, read_bytes

VOCABULARY = "vocab.txt"
MOST_BYTES = 256_000_000

BERT: Mapping[str, Any] = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
MPNET: Mapping[str, Any] = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "[UNK]",
    "pad_token": "<pad>",
    "mask_token": {"content": "<mask>", "lstrip": True},
}
CLASSES: Mapping[str, Mapping[str, Any]] = {
    "BertTokenizer": BERT,
    "DistilBertTokenizer": BERT,
    "ElectraTokenizer": BERT,
    "MPNetTokenizer": MPNET,
}
"""The special tokens of each class that can be made from vocab.txt, in the order in which they are added."""


def named(config: Configuration, kind: str) -> Configuration:
    """Return the tokenizer's configuration, with the special tokens of the class `kind` for those that it does not name."""
    own = CLASSES[kind]
    fields = {name: token if config.get(name) is None else config.get(name) for name, token in own.items()}
    if kind == "MPNetTokenizer" and isinstance(fields["mask_token"], str):  # it includes the space before it
        fields["mask_token"] = {"content": fields["mask_token"], "lstrip": True}
    return Configuration(config.name, fields | {name: value for name, value in config.fields.items() if name not in own})


def read(folder: Path, config: Configuration) -> Tokenizer:
    """Return the tokenizer of `folder`'s vocab.txt; `config` names all special tokens.

    Raises:
        Unsupported: the file is not UTF-8, or lacks a token that stands before or after a text.
    """
    vocabulary = _vocabulary(folder)
    unknown, first, last = (special_tokens.content(config, name) for name in ("unk_token", "cls_token", "sep_token"))
    for name, token in (("unk_token", unknown), ("cls_token", first), ("sep_token", last)):
        if token not in vocabulary:
            config.refuse(name, f"{VOCABULARY} does not have it")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizer(config)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    around = [(first, vocabulary[first]), (last, vocabulary[last])]
    tokenizer.post_processor = processors.TemplateProcessing(single=[first, "$A", last], special_tokens=list(dict.fromkeys(around)))
    return tokenizer


def normalizer(config: Configuration) -> normalizers.Normalizer:
    """Return the normalizer that the class makes from its arguments. It lower-cases by default."""
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.flag("tokenize_chinese_chars", default=True),
        strip_accents=config.flag("strip_accents") if config.get("strip_accents") is not None else None,
        lowercase=config.flag("do_lower_case", default=True),
    )


def _vocabulary(folder: Path) -> dict[str, int]:
    """Return the id of each token: the number of its line, from 0. A token on two lines has the later number."""
    try:
        text = read_bytes(folder, VOCABULARY, MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        msg = f"{VOCABULARY} in {folder} is not UTF-8: {error.reason} at byte {error.start}"
        raise Unsupported(msg) from None
    return {line.rstrip(): number for number, line in enumerate(text.removesuffix("\n").split("\n"))}
