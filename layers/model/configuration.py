"""Read the files of a model's folder without trusting them. Each error is one sentence that names the file.

A folder can come from anywhere. Only regular files inside it are read, each up to a limit. Names and links that lead out are
refused.
"""

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Self

JSON_BYTES = 32_000_000
"""The largest allowed size of a configuration file or an index of weights. Those of known models are smaller than 1 MB."""
TOKENIZER_BYTES = 256_000_000
"""The largest allowed size of tokenizer.json. Gemma's has 262,144 tokens and 33 MB."""
SHOWN_CHARACTERS = 100
"""The number of characters of a value that an error contains at most."""
LARGEST = sys.float_info.max


class Unsupported(Exception):  # noqa: N818 - it says something about the model
    """A model cannot be built. The sentence says which file is the reason."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One JSON object. `name` is its path in the model's folder, which errors contain."""

    name: str
    fields: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, name: str, *, optional: bool = False) -> Self:
        """Read `folder`/`name`; an absent optional file is an empty object.

        Raises:
            Unsupported: the file is missing, outside the folder, too large, or not a JSON object.
        """
        if optional and not exists(folder, name):
            return cls(name, {})
        content = read_json(folder, name)
        if not isinstance(content, dict):
            msg = f"{name} in {folder} is not a JSON object"
            raise Unsupported(msg)
        return cls(name, content)

    def updated(self, fields: Mapping[str, Any], origin: str) -> Self:
        """Return the object with some fields replaced. Errors then name the origin of these fields, too."""
        if not fields:
            return self
        return replace(self, name=f"{self.name} with {origin}", fields={**self.fields, **fields})

    def get(self, field: str) -> Any:  # noqa: ANN401 - as the file has it
        """Return the field's value; None where it is absent or null."""
        return self.fields.get(field)

    def number[Kind: (int, float)](
        self, field: str, kind: type[Kind], default: Kind | None = None, *, least: float = 0, most: float = LARGEST
    ) -> Kind:
        """Return a field that must be a finite number from `least` to `most`.

        Raises:
            Unsupported: it is absent without a default, or something else.
        """
        value = self.fields.get(field, default)
        if isinstance(value, bool) or not isinstance(value, (int, kind)) or not least <= value <= most:
            self.refuse(field, f"it must be a {_range(kind, least, most)}")
        return kind(value)

    def flag(self, field: str, *, default: bool = False) -> bool:
        """Return a field that must be true or false; the default where it is absent or null.

        Raises:
            Unsupported: it is something else.
        """
        value = self.get(field)
        if value is not None and not isinstance(value, bool):
            self.refuse(field, "it must be true or false")
        return default if value is None else value

    def text(self, field: str) -> str | None:
        """Return a field that must be a text; None where it is absent or null.

        Raises:
            Unsupported: it is something else.
        """
        value = self.get(field)
        if value is not None and not isinstance(value, str):
            self.refuse(field, "it must be a text")
        return value

    def check(self, expected: Mapping[str, tuple[Any, ...]]) -> None:
        """Check that each field has one of the allowed values. None among them allows the field to be absent.

        Raises:
            Unsupported: a field has another value.
        """
        for field, allowed in expected.items():
            if self.get(field) not in allowed:
                known = ", ".join(str(choice) for choice in allowed if choice is not None) or "none"
                self.refuse(field, f"this builder knows {known}")

    def refuse(self, field: str, reason: str) -> NoReturn:
        """Refuse a field's value. The error names the file, the field, the value and the reason.

        Raises:
            Unsupported: always.
        """
        msg = f"{self.name} says {field} is {shown(self.get(field))}; {reason}"
        raise Unsupported(msg)


def _range(kind: type, least: float, most: float) -> str:
    name = "whole number" if kind is int else "number"
    if most == LARGEST:
        return f"{name} of at least {least:g}"
    return f"{name} from {least:g} to {most:,.15g}"


def shown(value: object) -> str:
    """Return a value in the form that errors contain, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def read_json(folder: Path, name: str) -> Any:  # noqa: ANN401 - as the file has it
    """Return the JSON in `folder`/`name`.

    Raises:
        Unsupported: the file is missing, outside the folder, too large, or not JSON.
    """
    if not exists(folder, name):
        msg = f"{name} is missing in {folder}: not a Sentence Transformers folder"
        raise Unsupported(msg)
    try:
        return json.loads(read_bytes(folder, name, JSON_BYTES))
    except ValueError as error:
        msg = f"{name} in {folder} is not JSON: {error}"
        raise Unsupported(msg) from None
    except RecursionError:
        msg = f"{name} in {folder} is nested too deeply to be read"
        raise Unsupported(msg) from None


def read_bytes(folder: Path, name: str, most: int) -> bytes:
    """Return the content of the regular file `folder`/`name`, which may have `most` bytes at most.

    Raises:
        Unsupported: it is missing, outside the folder, not a regular file, or larger.
    """
    path = regular(folder, name)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        msg = f"{name} in {folder} has {path.stat().st_size:,} bytes; this builder reads at most {most:,} of such a file"
        raise Unsupported(msg)
    return content


def exists(folder: Path, name: str) -> bool:
    """Return whether anything is at `folder`/`name`, even a link to nothing."""
    return os.path.lexists(folder / name)


def regular(folder: Path, name: str) -> Path:
    """Return the path `folder`/`name` of a regular file inside the folder.

    Raises:
        Unsupported: it is missing, outside the folder, or a directory, a pipe or a device.
    """
    path = inside(folder, name)
    try:
        mode = path.stat().st_mode
    except OSError:  # also a name too long, or one that goes through a file
        msg = f"{name} is missing in {folder}"
        raise Unsupported(msg) from None
    if not stat.S_ISREG(mode):
        msg = f"{name} in {folder} is not a regular file; nothing else is read"
        raise Unsupported(msg)
    return path


def inside(folder: Path, name: str) -> Path:
    """Return the path `folder`/`name`, which may not lead out of the folder by `..` or by a link.

    Raises:
        Unsupported: it leads out, or is not a path.
    """
    path = folder / name
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError):  # a zero byte, a circle of links
        msg = f"{shown(name)} is no path in the model's folder {folder}"
        raise Unsupported(msg) from None
    if not within:
        what = "is a link that leaves" if path.is_symlink() else "lies outside"
        msg = f"{name} {what} the model's folder {folder}; only files inside it are read"
        raise Unsupported(msg)
    return path
