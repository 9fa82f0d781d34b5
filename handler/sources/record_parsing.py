"""Make records from fields: the text, the id, the options and the metadata of one record.

Law: pure functions. Fields that cannot be a record give a failure with the reason, never an exception.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from handler.encoding import MOST_LEVELS, is_deeper, to_json
from handler.errors import EmbeddingError, Empty, Validation, kind
from handler.parsing import chunk_options, options
from handler.records import Failure, Origin, Record

TEXT_FIELD = "inputs"
LONGEST_TEXT = 1 << 20
"""The most characters of a text: as many as fit into the largest message of SQS. A longer text is probably a mistake."""
SWITCHES = frozenset({"normalize", "truncate", "use_cache", "chunk_text"})
NUMBERS = frozenset({"dimensions", "chunk_tokens", "chunk_overlap"})
OPTIONS = SWITCHES | NUMBERS | {"prompt_name", "truncation_direction", "output_dtype"}
WORDS = {"true": True, "false": False}
LONGEST_NUMBER = 9
"""The most digits of an option that is a number. None can be that large."""

type Fields = Mapping[str, Any]


def parse_record(fields: Any, default_id: str, origin: Origin, text_field: str) -> Record | Failure:  # noqa: ANN401 - whatever JSON holds
    """Make a record from its fields. A record without an `id` gets `default_id`."""
    try:
        if not isinstance(fields, dict):
            msg = f"A record must be an object. Given: {kind(fields)}"
            raise Validation(msg)
        default_id = _id(fields, default_id)
        text = _text(fields, text_field)
        metadata = {name: value for name, value in fields.items() if name not in OPTIONS | {"id", text_field}}
        given = _given_options(fields)
        record = Record(default_id, text, options(given), origin=origin, chunk_options=chunk_options(given))
        return add_metadata(record, metadata)
    except EmbeddingError as error:
        return Failure.of(error, default_id, origin)


def add_metadata(record: Record, metadata: Fields) -> Record | Failure:
    """Add metadata to a record. Refuse metadata that cannot be written as JSON, because in a sink it would fail the whole shard."""
    if not metadata:
        return record
    if is_deeper(metadata, MOST_LEVELS):
        msg = f"The record is nested more than {MOST_LEVELS} levels deep, the most that is written"
        return Failure.of(Validation(msg), record.id, record.origin)
    try:
        to_json(metadata)
    except (TypeError, ValueError, RecursionError):
        msg = "The record carries something besides its text that cannot be written as JSON"
        return Failure.of(Validation(msg), record.id, record.origin)
    return replace(record, metadata=metadata)


def _given_options(fields: Fields) -> dict[str, Any]:
    """Return the options among the fields. In CSV all options are strings, and an empty string means that there is no option."""
    return {name: _option(name, fields[name]) for name in OPTIONS & fields.keys() if fields[name] != ""}


def _option(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str) and name in SWITCHES:
        return WORDS.get(value.lower(), value)
    if isinstance(value, str) and name in NUMBERS and value.isdecimal() and len(value) <= LONGEST_NUMBER:
        return int(value)
    return value


def _id(fields: Fields, default: str) -> str:
    value = fields.get("id")
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        msg = f"`id` must be a string or a number. Given: {kind(value)}"
        raise Validation(msg)
    if isinstance(value, float) and not math.isfinite(value):
        msg = "`id` must be a finite number or a string"
        raise Validation(msg)
    name = str(value)
    try:
        name.encode()
    except UnicodeEncodeError:
        msg = "`id` has half of a surrogate pair, which UTF-8 cannot encode: two such ids could become one"
        raise Validation(msg) from None
    return name


def _text(fields: Fields, name: str) -> str:
    if name not in fields or fields[name] is None:
        msg = f"`{name}` is missing"
        raise Empty(msg)
    text = fields[name]
    if not isinstance(text, str):
        msg = f"`{name}` must be a string. Given: {kind(text)}"
        raise Validation(msg)
    if not text.strip():
        msg = f"`{name}` cannot be empty"
        raise Empty(msg)
    if len(text) > LONGEST_TEXT:
        msg = f"`{name}` has {len(text)} characters > {LONGEST_TEXT}, the most of one record"
        raise Validation(msg)
    return text
