"""Write the results of a search for a person or for a program."""

import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from events.search.search import Found
from handler.encoding import to_json

INDENT = "   "
LONGEST = 600
"""The characters of a passage that are shown."""
PLACE = ("document", "chunk", "start", "end", "text")
"""The fields of metadata that a long text's chunks have (handler/README.md)."""


def to_text(found: Sequence[Found]) -> str:
    """Write a paragraph for each result: its rank, score, document and place, then the passage, or the other metadata."""
    width = min(100, shutil.get_terminal_size().columns)
    return "\n".join(_paragraph(rank, each, width) for rank, each in enumerate(found, 1)) or "Nothing was found."


def to_array(found: Sequence[Found]) -> str:
    """Write an array of JSON, with the fields that `POST /search` has."""
    return to_json([asdict(each) for each in found]).decode()


FORMATS: Mapping[str, Callable[[Sequence[Found]], str]] = {"text": to_text, "json": to_array}
"""By the name of the format."""


def _paragraph(rank: int, found: Found, width: int) -> str:
    fields = found.metadata
    document = fields["document"] if isinstance(fields.get("document"), str) else found.id
    head = [f"{rank}.", f"{found.score:.4f}", _printable(document), *_place(fields)]
    lines = ["  ".join(head)]
    if body := _body(fields):
        lines += textwrap.wrap(body, width, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines)


def _place(fields: Mapping[str, Any]) -> Iterable[str]:
    if isinstance(fields.get("start"), int) and isinstance(fields.get("end"), int):
        yield f"characters {fields['start']} to {fields['end']}"


def _body(fields: Mapping[str, Any]) -> str:
    """Return the text of the passage; without one, the metadata that says more than the place."""
    if isinstance(fields.get("text"), str):
        text = _printable(fields["text"])
    else:
        others = {name: value for name, value in fields.items() if name not in PLACE}
        text = _printable(to_json(others).decode()) if others else ""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _printable(text: str) -> str:
    """Return a text on one line, without characters that control a terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
