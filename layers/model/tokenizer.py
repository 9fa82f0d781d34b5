"""A model's tokenizer as the handler needs it: what its own class would make of the files, without padding and truncation.

transformers builds some tokenizers anew from their class's arguments, so that tokenizer_config.json overrides tokenizer.json.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers

from handler.embedding.manifest import TOKENIZER
from layers.model.configuration import Configuration, Unsupported, exists, read_bytes
from layers.model.specification import Specification

CONFIG = "tokenizer_config.json"
MOST_BYTES = 256_000_000
"""The most that tokenizer.json may have; Gemma's 262,144 tokens take 33 MB."""


def write(specification: Specification, folder: Path) -> None:
    """Write `folder`'s tokenizer; padding and truncation are taken out, since both are the handler's to decide.

    Raises:
        Unsupported: the source's file is missing, damaged, made by code of its own, or gives tokens that the model
            does not have.
    """
    source = specification.transformer
    tokenizer = _read(source)
    largest = max(tokenizer.get_vocab().values(), default=0)
    if largest >= specification.vocabulary:
        msg = f"{TOKENIZER} gives token ids up to {largest}, config.json says vocab_size {specification.vocabulary}"
        raise Unsupported(msg)
    config = Configuration.read(source, CONFIG, optional=True)
    config.check({"auto_map": (None,)})
    kind = config.text("tokenizer_class") or CLASSES.get(specification.architecture, "")
    OVERRIDES.get(kind.removesuffix("Fast"), _as_it_is)(tokenizer, config)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if specification.lowercase:
        steps = [normalizers.Lowercase(), *([tokenizer.normalizer] if tokenizer.normalizer else [])]
        tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.save(str(folder / TOKENIZER), pretty=False)


def _read(source: Path) -> Tokenizer:
    if not exists(source, TOKENIZER):
        msg = f"{TOKENIZER} is missing in {source}; tokenizers in any other format are not read"
        raise Unsupported(msg)
    try:
        return Tokenizer.from_buffer(read_bytes(source, TOKENIZER, MOST_BYTES))
    except Unsupported:
        raise
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        msg = f"{TOKENIZER} in {source} cannot be read: {error}"
        raise Unsupported(msg) from None


def _as_it_is(tokenizer: Tokenizer, config: Configuration) -> None:
    """tokenizer.json has the last word."""
    del tokenizer, config


def _word_pieces(tokenizer: Tokenizer, config: Configuration) -> None:
    """The class makes its normalizer of its arguments, and lower-cases unless it is told not to."""
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.flag("tokenize_chinese_chars", default=True),
        strip_accents=config.flag("strip_accents") if config.get("strip_accents") is not None else None,
        lowercase=config.flag("do_lower_case", default=True),
    )


def _byte_level(tokenizer: Tokenizer, config: Configuration) -> None:
    """The class puts a blank before a text only if it is told to."""
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=config.flag("add_prefix_space"))


OVERRIDES: Mapping[str, Callable[[Tokenizer, Configuration], None]] = {
    "BertTokenizer": _word_pieces,
    "DistilBertTokenizer": _word_pieces,
    "ElectraTokenizer": _word_pieces,
    "MPNetTokenizer": _word_pieces,
    "RobertaTokenizer": _byte_level,
}
"""What a class makes of tokenizer_config.json, by the class's name; all others take tokenizer.json as it is."""
CLASSES: Mapping[str, str] = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
}
"""The class of an architecture where tokenizer_config.json names none."""
