"""Records in files of text, a line each: JSONL, CSV and plain text, each of them also in gzip, as streams of any size.

Law: bytes in, fields out, each with the place it had, at which reading can be taken up again. Knows nothing of where bytes come
from, and holds no more of them at a time than one part and one record.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from handler.errors import Validation, kind, shown
from handler.gunzip import MAGIC, GzipError, gunzip
from handler.records import Failure
from handler.sources.numbers import with_exact_id

MOST_RECORD_BYTES = 2_000_000
"""A line, or a CSV record of several lines, that is longer is refused without being held."""
STEP_BYTES = 1024 * 1024
"""How much is cut into lines at a time, and decompressed at a time, however little it was compressed to."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

type Fields = dict[str, Any]


class Content(Protocol):
    """Bytes that can be read from anywhere."""

    @property
    def name(self) -> str:
        """What records without an id are named by, with their place behind it."""
        ...

    def read(self, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on, in parts of any size."""
        ...


class Piece(NamedTuple):
    """A record's fields, or why it has none, and its place: the bytes from `start` to `end`, of what was decompressed.

    Reading can be taken up again at any `end`.
    """

    start: int
    end: int
    fields: Fields | Failure


class Line(NamedTuple):
    """A line without its end of line, and its place with it; None for one that was too long to be held."""

    start: int
    end: int
    content: bytes | None


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """Why nothing can be read from here on."""


class _TooLong(Exception):  # noqa: N818 - likewise
    """A line is too long, or one too many for its record."""


def pieces(content: Content, kind_of_file: str, text_field: str, offset: int = 0) -> Iterator[Piece]:
    """The records of a file from `offset` on, which is 0 or the `end` of a piece.

    Fields have an `id`: their own, or the file's name and their place. A record that cannot be read is a failure, and the next one
    follows; where nothing can be read any more, as in a damaged gzip, a failure is the last piece.

    Args:
        content: the file.
        kind_of_file: one of KINDS.
        text_field: the column that a CSV must have, and the field that a line of plain text becomes.
        offset: where to begin.

    Raises:
        Whatever `content.read` raises.
    """
    for start, end, fields in _to_the_damage(KINDS[kind_of_file](content, text_field, offset), offset):
        name = f"{content.name}:{start}"
        if isinstance(fields, str):
            yield Piece(start, end, Failure(name, f"The record at byte {start} {fields}", "Validation", transient=False))
            continue
        if fields.get("id") is None:
            fields["id"] = name
        yield Piece(start, end, fields)


def kind_from(name: str) -> str:
    """The kind of file, by its name's ending.

    Raises:
        Validation: it has none that is known.
    """
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    if ending not in ENDINGS or "." not in name:
        known = ", ".join(f".{known}" for known in list(ENDINGS)[:-1])
        msg = f"The file must end in {known} or .{list(ENDINGS)[-1]}, with or without .gz behind it. Given: {shown(ending)}"
        raise Validation(msg)
    return ENDINGS[ending]


# --- Kinds of files ---------------------------------------------------------------------------------------

type Place = tuple[int, int, Fields | str]
"""Start, end, and fields or what is wrong, in words that follow "The record at byte 7 "."""


def _to_the_damage(places: Iterator[Place], offset: int) -> Iterator[Place]:
    """The places, and the one from which on nothing can be read, if there is one."""
    end = offset
    try:
        for place in places:
            end = place[1]
            yield place
    except _Unreadable as error:
        yield end, end, str(error)


TOO_LONG = f"is longer than {MOST_RECORD_BYTES} bytes"


def _jsonl(content: Content, text_field: str, offset: int) -> Iterator[Place]:
    for start, end, line in _lines(content, offset):
        if line is None:
            yield start, end, TOO_LONG
        elif line.strip():
            yield start, end, _object(line, text_field)


def _object(line: bytes, text_field: str) -> Fields | str:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _not_utf8(line) or f"is not JSON: {error}"
    if isinstance(fields, str):
        return {text_field: fields}
    return with_exact_id(fields, line) if isinstance(fields, dict) else f"must be a JSON object. Given: {kind(fields)}"


def _text(content: Content, text_field: str, offset: int) -> Iterator[Place]:
    for start, end, line in _lines(content, offset):
        if line is None:
            yield start, end, TOO_LONG
        elif line.strip():
            yield start, end, _not_utf8(line) or {text_field: line.decode().removesuffix("\r")}


def _csv(content: Content, text_field: str, offset: int) -> Iterator[Place]:
    """Records under the names of the first one; a quoted field may have line ends, so a record may have several lines."""
    records = _csv_records(content, 0)
    header = next(records, None)
    if header is None:
        return
    start, header_end, names = header
    if isinstance(names, str):
        yield start, header_end, names
        return
    if text_field not in names or len(set(names)) < len(names):
        has = ", ".join(map(shown, names[:20]))
        yield start, header_end, f"names the columns, and must name each once, `{text_field}` among them. Given: {has}"
        return
    for start, end, values in _csv_records(content, offset) if offset > header_end else records:
        if isinstance(values, str):
            yield start, end, values
        elif len(values) != len(names):
            yield start, end, f"has {len(values)} fields; the header has {len(names)}"
        else:
            # An empty cell says nothing, but that there is no text.
            yield start, end, {name: value for name, value in zip(names, values, strict=True) if value or name == text_field}


def _csv_records(content: Content, offset: int) -> Iterator[tuple[int, int, list[str] | str]]:
    """The values of each record. The reader takes lines one by one, and only those of its record: that tells where it ends."""
    # For all readers of this process; the first limit would be 131,072 characters.
    csv.field_size_limit(MOST_RECORD_BYTES)
    lines = _CsvLines(_lines(content, offset))
    reader = csv.reader(lines, strict=True)
    while True:
        start = lines.begin_record()
        try:
            values = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            yield start, lines.end, TOO_LONG if isinstance(error, _TooLong) else f"is not CSV: {error}"
            reader = csv.reader(lines, strict=True)  # it has kept a part of the record
            continue
        if values:
            yield start, lines.end, lines.not_utf8 or values


class _CsvLines:
    """Lines for csv.reader, and what is to be known of those it has taken for the record under way."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._next: Line | None = next(lines, None)
        self._start = 0
        self.end = 0
        self.not_utf8 = ""

    def begin_record(self) -> int:
        """The start of the record that begins with the next line."""
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
        self.not_utf8 = self.not_utf8 or _not_utf8(line.content)
        # A byte that is not UTF-8 is kept as half a surrogate pair, so that the record's end is found all the same.
        return line.content.decode(errors="surrogateescape") + "\n"


KINDS: Mapping[str, Callable[[Content, str, int], Iterator[Place]]] = {"jsonl": _jsonl, "csv": _csv, "text": _text}
ENDINGS: Mapping[str, str] = {"jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "txt": "text"}


def _not_utf8(line: bytes) -> str:
    """What is wrong with a line's encoding; nothing if it is UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8: {error.reason} (0x{line[error.start]:02x}) after {error.start} bytes"
    return ""


# --- Lines and bytes --------------------------------------------------------------------------------------


def _lines(content: Content, offset: int) -> Iterator[Line]:
    """Lines from `offset` on, ended by line feeds; a carriage return before one is the line's.

    Raises:
        _Unreadable: the gzip is damaged; what came before it was given.
    """
    start, held, dropped = offset, b"", 0
    for part in _cut(_decompressed(content, offset)):
        *whole, rest = part.split(b"\n")
        for line in whole:
            end = start + dropped + len(held) + len(line) + 1
            yield _line(start, end, None if dropped else held + line)
            start, held, dropped = end, b"", 0
        held += rest
        # Of a line that is too long, whatever mark it may begin with, nothing is kept but its length.
        if dropped or len(held) > MOST_RECORD_BYTES + len(BYTE_ORDER_MARK):
            dropped, held = dropped + len(held), b""
    if held or dropped:
        yield _line(start, start + dropped + len(held), None if dropped else held)


def _line(start: int, end: int, content: bytes | None) -> Line:
    if content is None:
        return Line(start, end, None)
    if start == 0:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return Line(start, end, content if len(content) <= MOST_RECORD_BYTES else None)


def _decompressed(content: Content, offset: int) -> Iterator[bytes]:
    """The bytes from `offset` on of what was compressed, or of what is not; by the first bytes, whatever the name.

    Raises:
        _Unreadable: the gzip is damaged, or ends too soon.
    """
    parts = content.read(0)
    first = b""
    while len(first) < len(MAGIC) and (part := next(parts, None)) is not None:
        first += part
    if first.startswith(MAGIC):
        yield from _after(offset, _inflated(_joined(first, parts)))
    elif offset < len(first):
        yield from _joined(first[offset:], parts)
    else:
        yield from content.read(offset)


def _cut(parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        for begin in range(0, len(part), STEP_BYTES):
            yield part[begin : begin + STEP_BYTES]


def _joined(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts


def _after(offset: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts without their first `offset` bytes."""
    for part in parts:
        if offset < len(part):
            yield part[offset:] if offset else part
        offset = max(0, offset - len(part))


def _inflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from gunzip(parts, STEP_BYTES)
    except GzipError as error:
        msg = f"cannot be read, nor what follows: {error}"
        raise _Unreadable(msg) from error
