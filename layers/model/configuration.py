"""The JSON files of a model's folder: read without trust, every complaint one sentence that names the file.

A folder comes from anywhere. Nothing outside it is read, whatever its files or its links point at.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


class Unsupported(Exception):  # noqa: N818 - a statement about the model, not an error of ours
    """A model that cannot be built; the sentence says what in it and where."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One JSON object. `name` is its path within the model's folder, as the sentences call it."""

    name: str
    fields: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, name: str, *, optional: bool = False) -> Self:
        """Read `folder`/`name`; an absent optional file is an empty object.

        Raises:
            Unsupported: the file is missing, outside the folder, or no JSON object.
        """
        if optional and not (folder / name).exists():
            return cls(name, {})
        content = read_json(folder, name)
        if not isinstance(content, dict):
            msg = f"{name} in {folder} is not a JSON object"
            raise Unsupported(msg)
        return cls(name, content)

    def get(self, field: str) -> Any:  # noqa: ANN401 - as the file has it
        """The field's value; None where it is absent or null."""
        return self.fields.get(field)

    def number[Kind: (int, float)](self, field: str, kind: type[Kind], default: Kind | None = None) -> Kind:
        """A field that must be a number.

        Raises:
            Unsupported: it is absent without a default, or something else.
        """
        value = self.fields.get(field, default)
        if isinstance(value, bool) or not isinstance(value, (int, kind)):
            msg = f"{self.name} says {field} is {value!r}; it must be a number"
            raise Unsupported(msg)
        return kind(value)

    def check(self, expected: Mapping[str, tuple[Any, ...]]) -> None:
        """Hold fields against the values that are understood; None among them allows a field to be absent.

        Raises:
            Unsupported: a field has another value; the sentence names it.
        """
        for field, allowed in expected.items():
            value = self.get(field)
            if value not in allowed:
                known = ", ".join(str(choice) for choice in allowed if choice is not None) or "none"
                msg = f"{self.name} says {field} is {value!r}; this builder knows {known}"
                raise Unsupported(msg)


def read_json(folder: Path, name: str) -> Any:  # noqa: ANN401 - as the file has it
    """The JSON in `folder`/`name`.

    Raises:
        Unsupported: the file is missing, outside the folder, or not JSON.
    """
    try:
        return json.loads(inside(folder, name).read_bytes())
    except FileNotFoundError:
        msg = f"{name} is missing in {folder}: not a Sentence Transformers folder"
        raise Unsupported(msg) from None
    except ValueError as error:
        msg = f"{name} in {folder} is not JSON: {error}"
        raise Unsupported(msg) from None


def inside(folder: Path, name: str) -> Path:
    """The path `folder`/`name`, which may not lead out of the folder, neither by `..` nor by a link.

    Raises:
        Unsupported: it does.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        what = "is a link that leaves" if path.is_symlink() else "lies outside"
        msg = f"{name} {what} the model's folder {folder}; only files inside it are read"
        raise Unsupported(msg)
    return path
