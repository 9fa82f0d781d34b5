"""A request's fields, as JSON gave them, to texts and options: checked once, here.

Law: knows the contract's field names and types, nothing of HTTP; which names and limits a model has is the service's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handler.embedding.tokenization import check_encodable
from handler.errors import Empty, Validation, kind, shown
from handler.service import Options
from handler.vector_types import type_name
from handler.vectors import DIRECTIONS, ENCODING_FORMATS, EncodingFormat

LARGEST_INTEGER = 2**31 - 1
"""Python reads integers of thousands of digits, and raises when it is to write more: none gets further than here."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """What a client asks to be embedded, and how the answer is to be written."""

    texts: list[str]
    options: Options
    encoding_format: EncodingFormat


def embedding_request(fields: Mapping[str, Any], name: str = "inputs") -> EmbeddingRequest:
    """Read the fields of the feature-extraction contract, its texts under `name`; unknown ones are ignored.

    Raises:
        Empty: there is no text, or one is empty.
        Validation: a field is missing or has the wrong type; the sentence names it, what it must be and what was given.
    """
    return EmbeddingRequest(
        texts=texts(fields, name),
        options=options(fields),
        encoding_format=_choice(fields, "encoding_format", ENCODING_FORMATS),
    )


def options(fields: Mapping[str, Any]) -> Options:
    """How texts are to be embedded.

    Raises:
        Validation: an option has the wrong type.
    """
    return Options(
        normalize=_boolean(fields, "normalize", default=True),
        prompt_name=_string(fields, "prompt_name"),
        truncate=_boolean(fields, "truncate", default=None),
        truncation_direction=_choice(fields, "truncation_direction", DIRECTIONS),
        dimensions=_integer(fields, "dimensions"),
        use_cache=_boolean(fields, "use_cache", default=True),
        output_dtype=output_dtype(fields),
    )


def output_dtype(fields: Mapping[str, Any]) -> str | None:
    """Return the type of vectors that `output_dtype` names, or the one entry of `embedding_types`; None if neither is there.

    Raises:
        Validation: there is no such type, or more than one is named.
    """
    named = [type_name(fields["output_dtype"], "output_dtype")] if fields.get("output_dtype") is not None else []
    if (several := fields.get("embedding_types")) is not None:
        if not isinstance(several, list):
            msg = f"`embedding_types` must be a list of one type of vectors. Given: {kind(several)}"
            raise Validation(msg)
        named += [type_name(value, "embedding_types") for value in several]
        if len(several) != 1 or len(set(named)) > 1:
            msg = f"`embedding_types` must name one type of vectors, and the same as `output_dtype`. Given: {len(several)} entries"
            raise Validation(msg)
    return named[0] if named else None


def texts(fields: Mapping[str, Any], name: str) -> list[str]:
    """The texts in the field `name`: one string, or a list of them.

    Raises:
        Empty: there is no text, or one is empty.
        Validation: it is neither.
        Tokenizer: a text holds half of a surrogate pair.
    """
    value = fields.get(name)
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        given = f"Given: {kind(value)}" if name in fields else "It is missing"
        msg = f"`{name}` must be a string or a list of strings. {given}"
        raise Validation(msg)
    for index, text in enumerate(value):
        if not isinstance(text, str):
            msg = f"`{name}[{index}]` must be a string. Given: {kind(text)}"
            raise Validation(msg)
    if not all(value) or not value:
        msg = f"`{name}[{value.index('')}]` cannot be empty" if len(value) > 1 else f"`{name}` cannot be empty"
        raise Empty(msg)
    check_encodable(value, range(len(value)), name)
    return value


def add_special_tokens(fields: Mapping[str, Any]) -> bool:
    """Whether a text is to be shown with the tokens that the tokenizer puts around it; true unless said otherwise."""
    return _boolean(fields, "add_special_tokens", default=True)


def _boolean[Default: (bool, None)](fields: Mapping[str, Any], name: str, *, default: Default) -> bool | Default:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def _string(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(name, "a string", value)


def _integer(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "a whole number", value)
    if abs(value) > LARGEST_INTEGER:
        raise _wrong(name, f"a whole number up to {LARGEST_INTEGER}", value)
    return value


def _choice(fields: Mapping[str, Any], name: str, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401 - one of `choices`
    """One of the choices, the first being the default; upper and lower case are the same (`Left`, `left`)."""
    value = fields.get(name)
    if value is None:
        return choices[0]
    if not isinstance(value, str) or value.lower() not in choices:
        raise _wrong(name, " or ".join(f"`{choice}`" for choice in choices), value)
    return value.lower()


def _wrong(name: str, expected: str, value: object) -> Validation:
    return Validation(f"`{name}` must be {expected}. Given: {shown(value)}")
