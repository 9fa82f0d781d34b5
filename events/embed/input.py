"""The input of `make embed`: its bytes, and the checks that need no model."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from events.embed.output import OUTPUTS
from events.embed.progress import Refused
from handler.errors import shown
from handler.sources.files import FileRecord

READ_BYTES = 1024 * 1024


class FileContent:
    """The bytes of a file."""

    def __init__(self, path: Path) -> None:
        """Read `path`."""
        self._path = path
        self.offset = 0
        """The offset up to which the file was read."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on."""
        with self._path.open("rb") as file:
            file.seek(offset)
            while part := file.read(READ_BYTES):
                self.offset = file.tell()
                yield part


def check_paths(source: Path, out: Path) -> None:
    """Check that the input can be read and the output written.

    Raises:
        Refused: one of them cannot; the sentence says why.
    """
    if out.suffix not in OUTPUTS:
        msg = f"OUT must end in .jsonl or .parquet. Given: {out}"
        raise Refused(msg)
    if not source.is_file():
        msg = f"IN must be a file. Given: {source}, which is {'a folder' if source.is_dir() else 'not there'}"
        raise Refused(msg)
    if not out.parent.is_dir():
        msg = f"OUT must be in a folder that is there. Given: {out}"
        raise Refused(msg)
    if out.resolve() == source.resolve():
        msg = f"OUT must be another file than IN. Given: {out}"
        raise Refused(msg)


def check_text_field(first: FileRecord | None, text_field: str, kind_of_file: str) -> None:
    """Check the first record: if the texts have another field's name, the command fails once and not for each record.

    Raises:
        Refused: the first record has no such field.
    """
    if first is None or (isinstance(first.fields, dict) and text_field in first.fields):
        return
    if isinstance(first.fields, dict):
        fields = ", ".join(map(shown, islice((name for name in first.fields if name != "id"), 20))) or "none"
        msg = f"The first record has no field `{text_field}`. It has: {fields}. Name the one to embed: TEXT_FIELD=…"
        raise Refused(msg)
    if kind_of_file == "csv":
        msg = f"{first.fields.error}. Name the one to embed: TEXT_FIELD=…"
        raise Refused(msg)
