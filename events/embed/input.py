"""The input of `make embed`: a file of records, a document, or a folder of both.

Files have one order, and a place in the input is one number: the number of the file, and the offset in it. So a run resumes within
a folder as it does within a file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

from events.embed.output import OUTPUTS
from events.embed.progress import Refused, fingerprint
from handler.errors import Validation, shown
from handler.records import Failure
from handler.sources.documents import find_document_kind, read_document
from handler.sources.files import CONVERSIONS, FileRecord, find_file_kind, read_file

READ_BYTES = 1024 * 1024
FILE_PLACES = 1 << 44
"""The places of one file: more than any file has bytes. A place in the first file is its offset."""


class FileContent:
    """The bytes of a file."""

    def __init__(self, path: Path, name: str = "") -> None:
        """Read `path`. Without a name, it has that of the file."""
        self._path = path
        self.name = name or path.name
        self.offset = 0
        """The offset up to which the file was read."""

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on."""
        with self._path.open("rb") as file:
            file.seek(offset)
            while part := file.read(READ_BYTES):
                self.offset = file.tell()
                yield part


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the input: its path, the name that its records have in their ids, and its size in bytes."""

    path: Path
    name: str
    size: int


class Input:
    """The records of a file or of all files in a folder. Files of unknown kinds in a folder are counted as `skipped`."""

    def __init__(self, source: Path, text_field: str, *, is_text_document: bool) -> None:
        """Find the files. `is_text_document` says whether a text file, given by itself, is one document; in a folder it always is.

        Raises:
            Refused: there is no such file or folder, or nothing in it can be embedded.
            Validation: the file is of an unknown kind.
        """
        self._source = source
        self._text_field = text_field
        self._is_text_document = is_text_document or source.is_dir()
        if source.is_dir():
            found = [InputFile(path, path.relative_to(source).as_posix(), path.stat().st_size) for path in _list(source)]
            self.files: Sequence[InputFile] = [file for file in found if self._is_known(file.name)]
            self.skipped = len(found) - len(self.files)
            if not self.files:
                msg = f"IN has no file that can be embedded. Given: {source}"
                raise Refused(msg)
        else:
            self.files, self.skipped = [InputFile(source, source.name, source.stat().st_size)], 0
            if not self._document_kind(source.name):
                find_file_kind(source.name)
        self._content = FileContent(self.files[0].path)
        self._bytes_before = [0, *accumulate(file.size for file in self.files)]

    @property
    def fingerprint(self) -> str:
        """A digest that another input does not have."""
        if not self._source.is_dir():
            return fingerprint(self._source)
        digests = (f"{file.name}\0{fingerprint(file.path)}\n" for file in self.files)
        return hashlib.sha256("".join(digests).encode("utf-8", "surrogateescape")).hexdigest()

    def pieces(self, place: int) -> Iterator[FileRecord]:
        """Yield the records from a place on. `start` and `end` are places, too."""
        first, offset = divmod(place, FILE_PLACES)
        for number, file in enumerate(self.files[first:], first):
            begin = number * FILE_PLACES
            for start, end, fields in self._read(file, offset):
                yield FileRecord(begin + start, begin + end, fields)
            offset = 0

    def name_of(self, place: int) -> str:
        """Return the name of a place: the file and the offset in it."""
        number, offset = divmod(place, FILE_PLACES)
        return f"{self.files[number].name}:{offset}"

    def share_done(self, place: int) -> float:
        """Return the share of the bytes that is done. Of gzip, it is the share of the compressed bytes that were read."""
        number, offset = divmod(place, FILE_PLACES)
        file = self.files[number]
        read = self._content.offset if file.name.lower().endswith(".gz") else offset
        return (self._bytes_before[number] + min(file.size, read)) / max(1, self._bytes_before[-1])

    def check(self) -> None:
        """Check the first record: if the texts have another field's name, the command fails once and not for each record.

        Raises:
            Refused: the first record has no such field.
        """
        first = next(self.pieces(0), None)
        name = self.files[0 if first is None else first.start // FILE_PLACES].name
        if not self._document_kind(name) and _ending(name) not in CONVERSIONS:
            check_text_field(first, self._text_field, find_file_kind(name))

    def _document_kind(self, name: str) -> str | None:
        return find_document_kind(name, is_text_document=self._is_text_document)

    def _is_known(self, name: str) -> bool:
        try:
            return bool(self._document_kind(name) or _ending(name) in CONVERSIONS or find_file_kind(name))
        except Validation:
            return False

    def _read(self, file: InputFile, offset: int) -> Iterator[FileRecord]:
        self._content = FileContent(file.path, file.name)
        kind = self._document_kind(file.name)
        if not kind and _ending(file.name) not in CONVERSIONS:
            yield from read_file(self._content, find_file_kind(file.name), self._text_field, offset)
        elif not offset:
            yield FileRecord(0, max(1, file.size), self._read_document(file.name, kind))

    def _read_document(self, name: str, kind: str | None) -> dict[str, object] | Failure:
        """Return the fields of a document, or the failure to read it, as of a PDF."""
        try:
            if kind is None:
                find_file_kind(name)
            return {"id": name, **read_document(self._content.read(0), name, str(kind), self._text_field)}
        except Validation as error:
            return Failure(name, str(error), "Validation", transient=False)


def _list(folder: Path) -> list[Path]:
    """Return all files in a folder and in the folders in it, without those whose names begin with a dot."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _ending(name: str) -> str:
    return name.lower().removesuffix(".gz").rpartition(".")[2]


def check_paths(source: Path, out: Path) -> None:
    """Check that the input can be read and the output written.

    Raises:
        Refused: one of them cannot; the sentence says why.
    """
    if out.suffix not in OUTPUTS:
        msg = f"OUT must end in .jsonl or .parquet. Given: {out}"
        raise Refused(msg)
    if not source.is_file() and not source.is_dir():
        msg = f"IN must be a file or a folder. Given: {source}, which is not there"
        raise Refused(msg)
    if not out.parent.is_dir():
        msg = f"OUT must be in a folder that is there. Given: {out}"
        raise Refused(msg)
    if out.resolve() == source.resolve():
        msg = f"OUT must be another file than IN. Given: {out}"
        raise Refused(msg)
    if source.resolve() in out.resolve().parents:
        msg = f"OUT must be outside of the folder IN, or it would be read again. Given: {out}"
        raise Refused(msg)


def check_text_field(first: FileRecord | None, text_field: str, kind_of_file: str) -> None:
    """Check that the first record has the field of the text.

    Raises:
        Refused: it does not.
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
