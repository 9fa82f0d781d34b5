"""Read the lines of a file, which may be a gzip.

Law: bytes in, lines out; at most one part and one line are in memory at a time.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, Protocol

from handler.gunzip import MAGIC, GzipError, gunzip

MOST_RECORD_BYTES = 2_000_000
"""A longer line, or a longer CSV record of several lines, is refused and never held in memory."""
STEP_BYTES = 1024 * 1024
"""The number of bytes that are decompressed and split into lines at a time."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FileContent(Protocol):
    """A file's bytes, which can be read from any offset."""

    @property
    def name(self) -> str:
        """The file's name. A record without an id gets this name and its place as its id."""
        ...

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on, in parts of any size."""
        ...


class TextLine(NamedTuple):
    """A line: its content without the line end (None if the line is too long), and its place, which includes the line end."""

    start: int
    end: int
    content: bytes | None


class Unreadable(Exception):  # noqa: N818 - the end of the reading, not an error of ours
    """The rest of a file cannot be read; the message says why."""


def read_lines(content: FileContent, offset: int) -> Iterator[TextLine]:
    """Yield the lines from `offset` on. A line ends with a line feed; a carriage return before it belongs to the line.

    Raises:
        Unreadable: the gzip is damaged. All lines before the damage have been yielded.
    """
    start, held, dropped = offset, b"", 0
    for part in _split(_decompress(content, offset)):
        *whole, rest = part.split(b"\n")
        for line in whole:
            end = start + dropped + len(held) + len(line) + 1
            yield _make_line(start, end, None if dropped else held + line)
            start, held, dropped = end, b"", 0
        held += rest
        # Of a line that is too long, only the length is kept. A byte order mark does not count.
        if dropped or len(held) > MOST_RECORD_BYTES + len(BYTE_ORDER_MARK):
            dropped, held = dropped + len(held), b""
    if held or dropped:
        yield _make_line(start, start + dropped + len(held), None if dropped else held)


def _make_line(start: int, end: int, content: bytes | None) -> TextLine:
    if content is None:
        return TextLine(start, end, None)
    if start == 0:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return TextLine(start, end, content if len(content) <= MOST_RECORD_BYTES else None)


def _decompress(content: FileContent, offset: int) -> Iterator[bytes]:
    """Yield the bytes from `offset` on, decompressed if the first bytes (not the name) say that this is a gzip.

    Raises:
        Unreadable: the gzip is damaged, or ends too soon.
    """
    parts = content.read(0)
    first = b""
    while len(first) < len(MAGIC) and (part := next(parts, None)) is not None:
        first += part
    if first.startswith(MAGIC):
        yield from _skip(offset, _inflate(chain([first], parts)))
    elif offset < len(first):
        yield from chain([first[offset:]], parts)
    else:
        yield from content.read(offset)


def _split(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts of at most STEP_BYTES."""
    for part in parts:
        for begin in range(0, len(part), STEP_BYTES):
            yield part[begin : begin + STEP_BYTES]


def _skip(offset: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the parts without their first `offset` bytes."""
    for part in parts:
        if offset < len(part):
            yield part[offset:] if offset else part
        offset = max(0, offset - len(part))


def _inflate(parts: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from gunzip(parts, STEP_BYTES)
    except GzipError as error:
        msg = f"cannot be read, and nothing after it can: {error}"
        raise Unreadable(msg) from error


def find_bad_utf8(line: bytes) -> str:
    """Return the fault in a line's encoding as the rest of a sentence; an empty string if the line is UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8: {error.reason} (0x{line[error.start]:02x}) after {error.start} bytes"
    return ""
