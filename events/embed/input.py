"""The input of `make embed`: a file of records, a document, or a folder or a prefix of both.

Files have one order, and a place in the input is one number: the number of the file, and the offset in it. So a run resumes within
a folder as it does within a file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path

from events.embed.input_files import S3, InputFile, LocalFile, list_folder, list_prefix
from events.embed.output import OUTPUTS
from events.embed.progress import Refused
from handler.errors import Validation, shown
from handler.records import Failure
from handler.sources.documents import find_document_kind, read_document
from handler.sources.files import CONVERSIONS, FileRecord, find_file_kind, read_file

FILE_PLACES = 1 << 44
"""The places of one file: more than any file has bytes. A place in the first file is its offset."""


class Input:
    """The records of a file, or of all files in a folder or under a prefix. In these, files of unknown kinds are `skipped`."""

    def __init__(self, source: str, text_field: str, *, is_text_document: bool) -> None:
        """Find the files. `is_text_document` says whether a text file, given by itself, is one document; in a folder it always is.

        Raises:
            Refused: there is no such file or folder, or nothing in it can be embedded.
            Validation: the file is of an unknown kind.
        """
        path = Path(source)
        self._text_field = text_field
        self._is_folder = source.startswith(S3) or path.is_dir()
        self._is_text_document = is_text_document or self._is_folder
        if self._is_folder:
            found = list_prefix(source) if source.startswith(S3) else list_folder(path)
            self.files: Sequence[InputFile] = [file for file in found if self._is_known(file.name)]
            self.skipped = len(found) - len(self.files)
            if not self.files:
                msg = f"IN has no file that can be embedded. Given: {source}"
                raise Refused(msg)
        else:
            self.files, self.skipped = [LocalFile(path, path.name, path.stat().st_size)], 0
            if not self._document_kind(path.name):
                find_file_kind(path.name)
        self._content = self.files[0].open()
        self._bytes_before = [0, *accumulate(file.size for file in self.files)]

    @property
    def fingerprint(self) -> str:
        """A digest that another input does not have."""
        if not self._is_folder:
            return self.files[0].fingerprint
        digests = (f"{file.name}\0{file.fingerprint}\n" for file in self.files)
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
        self._content = file.open()
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


def _ending(name: str) -> str:
    return name.lower().removesuffix(".gz").rpartition(".")[2]


def check_paths(source: str, out: Path) -> None:
    """Check that the input can be read and the output written.

    Raises:
        Refused: one of them cannot; the sentence says why.
    """
    if out.suffix not in OUTPUTS:
        msg = f"OUT must end in .jsonl or .parquet. Given: {out}"
        raise Refused(msg)
    path = Path(source)
    if not (source.startswith(S3) or path.is_file() or path.is_dir()):
        msg = f"IN must be a file, a folder or s3://BUCKET/PREFIX. Given: {source}, which is not there"
        raise Refused(msg)
    if not out.parent.is_dir():
        msg = f"OUT must be in a folder that is there. Given: {out}"
        raise Refused(msg)
    if source.startswith(S3):
        return
    if out.resolve() == path.resolve():
        msg = f"OUT must be another file than IN. Given: {out}"
        raise Refused(msg)
    if path.resolve() in out.resolve().parents:
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
