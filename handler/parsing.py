"""The fields of a request, as JSON has them, to texts and options. They are checked here and nowhere else.

Law: knows the contract's field names and types, nothing of HTTP. The service knows the model's names and limits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handler.chunking import ChunkOptions
from handler.embedding.input_checks import check_encodable
from handler.errors import Empty, TooLarge, Validation, kind, shown
from handler.service import Options
from handler.vector_types import type_name
from handler.vectors import DIRECTIONS, ENCODING_FORMATS, Direction, EncodingFormat

LARGEST_INTEGER = 2**31 - 1
"""Python reads integers of thousands of digits but refuses to write them into a sentence: larger ones are refused here."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """The texts that a client wants embedded, with the options, and the encoding of the response."""

    texts: list[str]
    options: Options
    encoding_format: EncodingFormat


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """Documents that a client wants sorted by how well they fit a query.

    `field` held the documents; `most` limits how many are returned.
    """

    query: str
    documents: list[str]
    field: str
    options: Options
    most: int
    return_documents: bool
    raw_scores: bool


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


def rerank_request(fields: Mapping[str, Any], limit: int, name: str) -> RerankRequest:
    """Read a query, and documents from the field `name`; each is a string or an object with a `text`.

    Providers have several names for one option: `top_n` and `top_k`, `return_documents` and `return_text`, `truncate` and
    `truncation`.

    Raises:
        Empty, Validation, TooLarge: for the same reasons as embedding_request.
    """
    query = text(fields, "query")
    documents = texts(fields, name, limit, lambda items: [_text_of(item) for item in items])
    counts = (_positive(fields, "top_n"), _positive(fields, "top_k"), len(documents))
    truncate = fields.get("truncate")
    return RerankRequest(
        query=query,
        documents=documents,
        field=name,
        options=options({**fields, "truncate": _boolean(fields, "truncation", default=None) if truncate is None else truncate}),
        most=min(count for count in counts if count is not None),
        return_documents=_boolean(fields, "return_documents", default=_boolean(fields, "return_text", default=False)),
        raw_scores=_boolean(fields, "raw_scores", default=False),
    )


def options(fields: Mapping[str, Any]) -> Options:
    """Read the options of an embedding.

    Raises:
        Validation: an option has the wrong type.
    """
    truncate, end = _truncation(fields)
    return Options(
        normalize=_boolean(fields, "normalize", default=None),
        prompt_name=string(fields, "prompt_name"),
        truncate=truncate,
        truncation_direction=end,
        dimensions=integer(fields, "dimensions"),
        use_cache=_boolean(fields, "use_cache", default=True),
        output_dtype=output_dtype(fields),
    )


def chunk_options(fields: Mapping[str, Any]) -> ChunkOptions:
    """Read the options of splitting a text into chunks.

    Raises:
        Validation: an option has the wrong type.
    """
    return ChunkOptions(
        tokens=integer(fields, "chunk_tokens"),
        overlap=integer(fields, "chunk_overlap"),
        keeps_text=_boolean(fields, "chunk_text", default=None),
    )


def output_dtype(fields: Mapping[str, Any]) -> str | None:
    """Read the type of vectors from `output_dtype` or from the one entry of `embedding_types`; None if neither is given.

    Raises:
        Validation: there is no such type, or more than one is named.
    """
    named = [type_name(fields["output_dtype"], "output_dtype")] if fields.get("output_dtype") is not None else []
    if (listed := fields.get("embedding_types")) is not None:
        if not isinstance(listed, list):
            msg = f"`embedding_types` must be a list of one type of vectors. Given: {kind(listed)}"
            raise Validation(msg)
        named += [type_name(value, "embedding_types") for value in listed]
        if len(listed) != 1 or len(set(named)) > 1:
            msg = f"`embedding_types` must name one type of vectors, and the same as `output_dtype`. Given: {len(listed)} entries"
            raise Validation(msg)
    return named[0] if named else None


def text(fields: Mapping[str, Any], name: str) -> str:
    """Read the one text of the field `name`.

    Raises:
        Empty: the text is empty.
        Validation: the field has no string.
        Tokenizer: the text holds half of a surrogate pair.
    """
    if not isinstance(fields.get(name), str):
        raise _no_text(fields, name, "a string")
    return texts(fields, name)[0]


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
        raise _no_text(fields, name, "a string or a list of strings")
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


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """Read a boolean that is true by default.

    Raises:
        Validation: the field has another type.
    """
    return _boolean(fields, name, default=True)


def several(fields: Mapping[str, Any], name: str, choices: Sequence[str]) -> list[str] | None:
    """Read a list of one or more of the choices; None if the field is missing.

    Raises:
        Validation: it has something else.
    """
    value = fields.get(name)
    expected = " or ".join(f"`{choice}`" for choice in choices)
    if value is not None and not (isinstance(value, list) and value):
        raise _wrong(name, f"a list of {expected}", value)
    if wrong := [(index, choice) for index, choice in enumerate(value or ()) if choice not in choices]:
        raise _wrong(name=f"{name}[{wrong[0][0]}]", expected=expected, value=wrong[0][1])
    return value


def string(fields: Mapping[str, Any], name: str) -> str | None:
    """Read an optional string.

    Raises:
        Validation: the field has something else.
    """
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(name, "a string", value)


TRUNCATIONS: Mapping[str, tuple[bool, Direction | None]] = {
    "NONE": (False, None),
    "START": (True, "left"),
    "END": (True, "right"),
}
"""The names with which Cohere's and NVIDIA's clients say whether a text is truncated, and at which end."""


def _truncation(fields: Mapping[str, Any]) -> tuple[bool | None, Direction]:
    """Read `truncate` and `truncation_direction`. A name in `truncate` that says an end wins over the direction."""
    direction: Direction = _choice(fields, "truncation_direction", DIRECTIONS)
    name = "truncate"
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value, direction
    if not isinstance(value, str) or value.upper() not in TRUNCATIONS:
        raise _wrong(name, "true or false, `NONE`, `START` or `END`", value)
    truncate, end = TRUNCATIONS[value.upper()]
    return truncate, end or direction


def _boolean[Default: (bool, None)](fields: Mapping[str, Any], name: str, *, default: Default) -> bool | Default:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def integer(fields: Mapping[str, Any], name: str) -> int | None:
    """Read an optional whole number.

    Raises:
        Validation: the field has something else, or a number too large to be meant.
    """
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "a whole number", value)
    if abs(value) > LARGEST_INTEGER:
        raise _wrong(name, f"a whole number up to {LARGEST_INTEGER}", value)
    return value


def _positive(fields: Mapping[str, Any], name: str) -> int | None:
    value = integer(fields, name)
    if value is not None and value < 1:
        raise _wrong(name, "at least 1", value)
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


def _no_text(fields: Mapping[str, Any], name: str, expected: str) -> Validation:
    given = f"Given: {kind(fields[name])}" if name in fields else "It is missing"
    return Validation(f"`{name}` must be {expected}. {given}")


def _text_of(item: object) -> object:
    return item["text"] if isinstance(item, dict) and "text" in item else item
