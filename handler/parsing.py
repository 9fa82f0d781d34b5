"""The fields of a request, as JSON has them, to texts and options. They are checked here and nowhere else.

Law: knows the contract's field names and types, nothing of HTTP. The service knows the model's names and limits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handler.embedding.tokenization import check_encodable
from handler.errors import Empty, TooLarge, Validation, kind, shown
from handler.service import Options
from handler.vector_types import type_name
from handler.vectors import DIRECTIONS, ENCODING_FORMATS, EncodingFormat

LARGEST_INTEGER = 2**31 - 1
"""Python reads integers of thousands of digits but refuses to write them into a sentence: larger ones are refused here."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """The texts that a client wants embedded, with the options, and the encoding of the response."""

    texts: list[str]
    options: Options
    encoding_format: EncodingFormat


def embedding_request(
    fields: Mapping[str, Any], limit: int, name: str = "inputs", decode: Callable[[list[Any]], list[Any]] | None = None
) -> EmbeddingRequest:
    """Read the fields of the feature-extraction contract, its texts from the field `name`; unknown fields are ignored.

    Args:
        fields: of the request.
        limit: the most texts of one request.
        name: the field with the texts.
        decode: turns a list of that field into texts, once its length is within the limit.

    Raises:
        Empty: there is no text, or one is empty.
        Validation: a field is missing or has the wrong type; the sentence names it, what it must be and what was given.
        TooLarge: there are more texts than `limit`.
    """
    return EmbeddingRequest(
        texts=texts(fields, name, limit, decode),
        options=options(fields),
        encoding_format=_choice(fields, "encoding_format", ENCODING_FORMATS),
    )


def options(fields: Mapping[str, Any]) -> Options:
    """Read the options of an embedding.

    Raises:
        Validation: an option has the wrong type.
    """
    return Options(
        normalize=_boolean(fields, "normalize", default=None),
        prompt_name=_string(fields, "prompt_name"),
        truncate=_boolean(fields, "truncate", default=None),
        truncation_direction=_choice(fields, "truncation_direction", DIRECTIONS),
        dimensions=_integer(fields, "dimensions"),
        use_cache=_boolean(fields, "use_cache", default=True),
        output_dtype=output_dtype(fields),
    )


def output_dtype(fields: Mapping[str, Any]) -> str | None:
    """Read the type of vectors from `output_dtype` or from the one entry of `embedding_types`; None if neither is given.

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


def texts(
    fields: Mapping[str, Any], name: str, limit: int = 1, decode: Callable[[list[Any]], list[Any]] | None = None
) -> list[str]:
    """Read the texts of the field `name`: one string, or a list of strings.

    Raises:
        Empty: there is no text, or one is empty.
        Validation: the field has neither.
        TooLarge: there are more texts than `limit`.
        Tokenizer: a text holds half of a surrogate pair.
    """
    value = fields.get(name)
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        given = f"Given: {kind(value)}" if name in fields else "It is missing"
        msg = f"`{name}` must be a string or a list of strings. {given}"
        raise Validation(msg)
    check_batch(limit, len(value))
    if decode:
        value = decode(value)
    for index, text in enumerate(value):
        if not isinstance(text, str):
            msg = f"`{name}[{index}]` must be a string. Given: {kind(text)}"
            raise Validation(msg)
    if not all(value) or not value:
        msg = f"`{name}[{value.index('')}]` cannot be empty" if len(value) > 1 else f"`{name}` cannot be empty"
        raise Empty(msg)
    check_encodable(value, range(len(value)), name)
    return value


def check_batch(limit: int, count: int) -> None:
    """Refuse more inputs or records than the deployment accepts in one request.

    Raises:
        TooLarge: with the limit and the count.
    """
    if count > limit:
        msg = f"batch size {count} > maximum allowed batch size {limit}"
        raise TooLarge(msg)


def add_special_tokens(fields: Mapping[str, Any]) -> bool:
    """Read whether tokens are returned with the special ones that the tokenizer puts around a text; true by default."""
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
    """Read one of the choices; the first is the default. Upper and lower case are the same (`Left`, `left`)."""
    value = fields.get(name)
    if value is None:
        return choices[0]
    if not isinstance(value, str) or value.lower() not in choices:
        raise _wrong(name, " or ".join(f"`{choice}`" for choice in choices), value)
    return value.lower()


def _wrong(name: str, expected: str, value: object) -> Validation:
    return Validation(f"`{name}` must be {expected}. Given: {shown(value)}")
