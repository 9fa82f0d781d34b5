"""Files of records: JSONL, CSV and plain text, each of them also as gzip, read as streams of any size.

Each record has its place in the file, so that reading can resume after any record. From the top:

    read_file            the records of a file, with an id each
    _jsonl, _csv, _text  the records of one kind of file
    file_lines.py        lines, decompressed if the file is a gzip

Law: bytes in, fields out; knows nothing of where the bytes come from. At most one record is in memory at a time.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from handler.errors import Validation, kind, shown
from handler.records import Failure
from handler.sources.documents import ENDINGS as DOCUMENT_ENDINGS
from handler.sources.exact_numbers import restore_exact_id
from handler.sources.file_lines import MOST_RECORD_BYTES, FileContent, TextLine, Unreadable, find_bad_utf8, read_lines

type Fields = dict[str, Any]


class FileRecord(NamedTuple):
    """A record's fields, or the failure to read them, and its place: the decompressed bytes from `start` to `end`.

    Reading can resume at any `end`.
    """

    start: int
    end: int
    fields: Fields | Failure


class _TooLong(Exception):  # noqa: N818 - never leaves this module
    """A record of one or several lines is too long."""


def read_file(content: FileContent, kind_of_file: str, text_field: str, offset: int = 0) -> Iterator[FileRecord]:
    """Yield the records of a file from `offset` on, which is 0 or the `end` of a record.

    A record without an `id` gets the file's name and its place. A record that cannot be read is a failure, and the next record
    follows. If nothing more can be read, as in a damaged gzip, the last record is a failure.

    Args:
        content: the file.
        kind_of_file: one of KINDS.
        text_field: the column of the text in CSV, and the field that a line of plain text gets.
        offset: where to begin.

    Raises:
        Whatever `content.read` raises.
    """
    for start, end, fields in _until_damage(KINDS[kind_of_file](content, text_field, offset), offset):
        name = f"{content.name}:{start}"
        if isinstance(fields, str):
            yield FileRecord(start, end, Failure(name, f"The record at byte {start} {fields}", "Validation", transient=False))
            continue
        if fields.get("id") is None:
            fields["id"] = name
        yield FileRecord(start, end, fields)


def find_file_kind(name: str) -> str:
    """Return the kind of a file, by the ending of its name.

    Raises:
        Validation: the ending is unknown.
    """
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    if ending in CONVERSIONS:
        msg = f"Files of .{ending} are not read. Convert it to text first, for example with: {CONVERSIONS[ending]}"
        raise Validation(msg)
    if ending not in ENDINGS or "." not in name:
        *others, last = (f".{known}" for known in (*ENDINGS, *DOCUMENT_ENDINGS))
        msg = f"The file must end in {', '.join(others)} or {last}, with or without .gz after it. Given: {shown(ending)}"
        raise Validation(msg)
    return ENDINGS[ending]


# --- Kinds of files ---------------------------------------------------------------------------------------

type RawRecord = tuple[int, int, Fields | str]
"""The start, the end and the fields of a record. A record that cannot be read has a string in place of the fields: its fault, as
the rest of the sentence "The record at byte 7 …"."""


def _until_damage(records: Iterator[RawRecord], offset: int) -> Iterator[RawRecord]:
    """Yield the records. If the rest of the file is damaged, yield a last record with that fault."""
    end = offset
    try:
        for record in records:
            end = record[1]
            yield record
    except Unreadable as error:
        yield end, end, str(error)


TOO_LONG = f"is longer than {MOST_RECORD_BYTES} bytes"


def _jsonl(content: FileContent, text_field: str, offset: int) -> Iterator[RawRecord]:
    for start, end, line in read_lines(content, offset):
        if line is None:
            yield start, end, TOO_LONG
        elif line.strip():
            yield start, end, _object(line, text_field)


def _object(line: bytes, text_field: str) -> Fields | str:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return find_bad_utf8(line) or f"is not JSON: {error}"
    if isinstance(fields, str):
        return {text_field: fields}
    return restore_exact_id(fields, line) if isinstance(fields, dict) else f"must be a JSON object. Given: {kind(fields)}"


def _text(content: FileContent, text_field: str, offset: int) -> Iterator[RawRecord]:
    for start, end, line in read_lines(content, offset):
        if line is None:
            yield start, end, TOO_LONG
        elif line.strip():
            yield start, end, find_bad_utf8(line) or {text_field: line.decode().removesuffix("\r")}


def _csv(content: FileContent, text_field: str, offset: int) -> Iterator[RawRecord]:
    """Yield records whose fields have the header's names. A quoted value may have line ends, so a record may have several lines."""
    records = _csv_records(content, 0)
    header = next(records, None)
    if header is None:
        return
    start, header_end, names = header
    if isinstance(names, str):
        yield start, header_end, names
        return
    if text_field not in names or len(set(names)) < len(names):
        given = ", ".join(map(shown, names[:20]))
        yield start, header_end, f"is the header. It must name each column once, and `{text_field}` among them. Given: {given}"
        return
    for start, end, values in _csv_records(content, offset) if offset > header_end else records:
        if isinstance(values, str):
            yield start, end, values
        elif len(values) != len(names):
            yield start, end, f"has {len(values)} fields; the header has {len(names)}"
        else:
            # An empty cell means that the field is not given. An empty text is kept, because it is refused later.
            yield start, end, {name: value for name, value in zip(names, values, strict=True) if value or name == text_field}


def _csv_records(content: FileContent, offset: int) -> Iterator[tuple[int, int, list[str] | str]]:
    """Yield each record's place and values. csv.reader takes only the lines of one record at a time, so its end is known."""
    # This sets the limit of all readers in this process. The default is 131,072 characters.
    csv.field_size_limit(MOST_RECORD_BYTES)
    lines = _CsvLines(read_lines(content, offset))
    reader = csv.reader(lines, strict=True)
    while True:
        start = lines.begin_record()
        try:
            values = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            yield start, lines.end, TOO_LONG if isinstance(error, _TooLong) else f"is not CSV: {error}"
            reader = csv.reader(lines, strict=True)  # the old reader still holds a part of the bad record
            continue
        if values:
            yield start, lines.end, lines.not_utf8 or values


class _CsvLines:
    """Lines for csv.reader. It keeps the place of the current record, and the first fault in the encoding of its lines."""

    def __init__(self, lines: Iterator[TextLine]) -> None:
        self._lines = lines
        self._next: TextLine | None = next(lines, None)
        self._start = 0
        self.end = 0
        self.not_utf8 = ""

    def begin_record(self) -> int:
        """Begin a record at the next line; return its start."""
        self._start = self._next.start if self._next else self.end
        self.not_utf8 = ""
        return self._start

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._next is None:
            raise StopIteration
        line, self._next = self._next, next(self._lines, None)
        self.end = line.end
        if line.content is None or line.end - self._start > MOST_RECORD_BYTES:
            raise _TooLong
        self.not_utf8 = self.not_utf8 or find_bad_utf8(line.content)
        # Bytes that are not UTF-8 become halves of surrogate pairs, so that the record's end is still found.
        return line.content.decode(errors="surrogateescape") + "\n"


KINDS: Mapping[str, Callable[[FileContent, str, int], Iterator[RawRecord]]] = {"jsonl": _jsonl, "csv": _csv, "text": _text}
CONVERSIONS: Mapping[str, str] = {
    "pdf": "pdftotext IN.pdf OUT.txt",
    **dict.fromkeys(("doc", "docx", "odt", "rtf", "pptx", "epub"), "pandoc IN -o OUT.md"),
}
"""Kinds of documents that are not read, and commands that make text of them."""
ENDINGS: Mapping[str, str] = {"jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "txt": "text"}
