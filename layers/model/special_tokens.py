"""Apply the tokens that tokenizer_config.json names: the library adds them to tokenizer.json, or puts them around each text."""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer, processors

from layers.model.configuration import Configuration, Unsupported
from layers.model.known_fields import TOKEN

FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


def add(tokenizer: Tokenizer, config: Configuration) -> None:
    """Add each named token that tokenizer.json would split in a text, as the library does.

    A token in the vocabulary keeps its id. Any other token gets the next free id.

    Raises:
        Unsupported: the value of a field is not a token.
    """
    kept = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for token, special in _named(config):
        if token.content not in kept:
            kept.add(token.content)
            (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])


def check_around(tokenizer: Tokenizer, config: Configuration, *, rebuilt: bool) -> None:
    """Check that tokenizer.json puts the tokens around a text that the configuration names.

    The library rebuilds some classes from their arguments (`rebuilt`): these put cls_token before a text and sep_token after it.

    Raises:
        Unsupported: it puts other tokens there.
    """
    around = tokenizer.encode("").tokens
    first, last = around[:1], around[-1:]
    wanted = {"cls_token": first, "sep_token": last} if rebuilt else {}
    wanted |= {"bos_token": first} if config.flag("add_bos_token") else {}
    wanted |= {"eos_token": last} if config.flag("add_eos_token") else {}
    for field, found in wanted.items():
        if config.get(field) is not None and [content(config, field)] != found:
            config.refuse(field, f"tokenizer.json puts {' and '.join(around) or 'nothing'} around a text")


def set_pair(tokenizer: Tokenizer, kind: str) -> None:
    """Let the tokenizer put special tokens around two texts as its class does, if transformers rebuilds them for this class."""
    if kind not in PAIRS:
        return
    empty = tokenizer.encode("")
    first, last = empty.tokens[0], empty.tokens[-1]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=PAIRS[kind].format(first=first, last=last),
        special_tokens=list(dict.fromkeys(zip((first, last), (empty.ids[0], empty.ids[-1]), strict=True))),
    )


BY_TYPE, BY_TOKENS = "{first}:0 $A:0 {last}:0 $B:1 {last}:1", "{first}:0 $A:0 {last}:0 {last}:0 $B:0 {last}:0"
PAIRS: Mapping[str, str] = {
    "BertTokenizer": BY_TYPE,
    "DistilBertTokenizer": BY_TYPE,
    "ElectraTokenizer": BY_TYPE,
    "RobertaTokenizer": BY_TOKENS,
    "MPNetTokenizer": BY_TOKENS,
    "XLMRobertaTokenizer": BY_TOKENS,
    "CamembertTokenizer": BY_TOKENS,
}
"""The special tokens around two texts, `$A` and `$B`, by the class of the tokenizer, and the type of each token."""


def content(config: Configuration, field: str) -> str:
    """Return the text of the token that a field names.

    Raises:
        Unsupported: the value of the field is not a token.
    """
    return _content(config, field, config.get(field))


def _named(config: Configuration) -> Iterator[tuple[AddedToken, bool]]:
    """Yield each named token, and whether it is special, in the order in which the library adds them."""
    decoder = config.get("added_tokens_decoder") or {}
    if not isinstance(decoder, dict) or not all(key.isdecimal() for key in decoder):
        config.refuse("added_tokens_decoder", "it must map ids to tokens")
    for key in sorted(decoder, key=int):
        special = isinstance(decoder[key], dict) and decoder[key].get("special") is True
        yield _token(config, "added_tokens_decoder", decoder[key], special=special), special
    for field, value in config.fields.items():
        if field.endswith(TOKEN) and value is not None and not isinstance(value, bool):
            yield _token(config, field, value, special=True), True
    for field in ("additional_special_tokens", "extra_special_tokens"):
        value = config.get(field) or []
        values = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(values, list):
            config.refuse(field, "it must be a list of tokens")
        for token in values:
            yield _token(config, field, token, special=True), True


def _token(config: Configuration, field: str, value: Any, *, special: bool) -> AddedToken:  # noqa: ANN401 - as the file has it
    named = _content(config, field, value)
    flags = {flag: value[flag] for flag in FLAGS if flag in value} if isinstance(value, dict) else {}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        config.refuse(field, f"{', '.join(FLAGS)} must be true or false")
    return AddedToken(named, special=special, **flags)


def _content(config: Configuration, field: str, value: Any) -> str:  # noqa: ANN401 - as the file has it
    named = value.get("content") if isinstance(value, dict) else value
    if not isinstance(named, str) or not named:
        config.refuse(field, "it must name a token")
    try:
        named.encode()
    except UnicodeEncodeError:
        msg = f"{config.name} says {field} is a text with half a character, which no token is"
        raise Unsupported(msg) from None
    return named
