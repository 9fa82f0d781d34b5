"""Documents: files that are one record as a whole, in Markdown, HTML or plain text.

The record has the text, the `title` (of Markdown the first heading or that of the front matter, of HTML `<title>` or the first
`<h1>`) and the `path` of the file, which is its id as well. Markdown stays Markdown, without its front matter; of HTML, the text is
taken.

Law: bytes in, fields out; knows nothing of where the bytes come from.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from handler.errors import Validation
from handler.gunzip import MAGIC, GzipError, gunzip
from handler.sources.file_lines import BYTE_ORDER_MARK, STEP_BYTES, find_bad_utf8
from handler.sources.html_text import read_html

MOST_DOCUMENT_BYTES = 8_000_000
"""The most bytes of a document, decompressed. Its text may have as many characters as that of any record."""
MOST_TITLE = 200
"""The most characters of a title. Metadata by which an index can filter is small."""
MARKDOWN, HTML, TEXT = "markdown", "html", "text"
ENDINGS: Mapping[str, str] = {"md": MARKDOWN, "markdown": MARKDOWN, "html": HTML, "htm": HTML}
"""The kinds of documents, by the ending of the file's name."""
TEXT_ENDING = "txt"
"""The ending of plain text. If texts are split, such a file is one document; if not, each of its lines is a record."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Parsed(NamedTuple):
    """The title and the text of a document. Without a title, it is empty."""

    title: str
    text: str


def find_document_kind(name: str, *, is_text_document: bool) -> str | None:
    """Return the kind of a document by the ending of its name; None if a file of this name is no document.

    `is_text_document` says whether plain text is a document.
    """
    stem, _, ending = name.lower().removesuffix(".gz").rpartition(".")
    if not stem.rpartition("/")[2]:
        return None
    return TEXT if ending == TEXT_ENDING and is_text_document else ENDINGS.get(ending)


def read_document(parts: Iterator[bytes], path: str, kind: str, text_field: str) -> dict[str, Any]:
    """Return the fields of the record that a document is.

    Args:
        parts: the bytes of the file, which may be a gzip.
        path: the path of the file.
        kind: one of MARKDOWN, HTML and TEXT.
        text_field: the field for the text.

    Raises:
        Validation: the document is too large or is not UTF-8.
        Whatever `parts` raises.
    """
    title, text = PARSERS[kind](_decode(_read(parts)))
    title = title[:MOST_TITLE]
    return {"title": title, "path": path, text_field: text} if title else {"path": path, text_field: text}


def _read(parts: Iterator[bytes]) -> bytes:
    """Return all bytes, decompressed if the first ones say that this is a gzip."""
    content = _join(parts)
    if not content.startswith(MAGIC):
        return content
    try:
        return _join(gunzip(iter([content]), STEP_BYTES))
    except GzipError as error:
        msg = f"The document cannot be decompressed: {error}"
        raise Validation(msg) from error


def _join(parts: Iterator[bytes]) -> bytes:
    content = bytearray()
    for part in parts:
        content += part
        if len(content) > MOST_DOCUMENT_BYTES:
            msg = f"The document has more than {MOST_DOCUMENT_BYTES} bytes, the most of one document: divide it into several files"
            raise Validation(msg)
    return bytes(content)


def _decode(content: bytes) -> str:
    if content.startswith(UTF_16):
        msg = "The document is not UTF-8 but UTF-16. Convert it first: iconv -f UTF-16 -t UTF-8"
        raise Validation(msg)
    content = content.removeprefix(BYTE_ORDER_MARK)
    if fault := find_bad_utf8(content):
        msg = f"The document {fault}. Convert it first, for example: iconv -f WINDOWS-1252 -t UTF-8"
        raise Validation(msg)
    return content.decode()


FRONT_MATTER = r"\A(---|\+\+\+)[^\S\n]*\n(?P<fields>.*?\n)?(\1|\.\.\.)[^\S\n]*(\n|\Z)"
"""Fields in YAML or TOML before the text, between lines of `---` or `+++`."""
FIELD = r"\s*[\w-]+\s*[:=]"
"""The first field of a front matter. Without it, the lines of dashes are rules between parts of the text."""
TITLE_FIELD = r"(?mi)^title\s*[:=](.*)$"
HEADING = r" {0,3}#{1,6}\s"
UNDERLINE = r" {0,3}=+\s*$"
FENCE = ("```", "~~~")


def _parse_markdown(text: str) -> Parsed:
    front_matter = re.match(FRONT_MATTER, text, re.DOTALL)
    if front_matter is None or not re.match(FIELD, front_matter["fields"] or ""):
        return Parsed(_find_heading(text), text)
    named = re.search(TITLE_FIELD, front_matter["fields"])
    body = text[front_matter.end() :]
    return Parsed((named[1].strip().strip("\"'") if named else "") or _find_heading(body), body)


def _find_heading(text: str) -> str:
    """Return the first heading of a Markdown text outside of blocks of code; an empty string if there is none."""
    is_code, before = False, ""
    for line in text.splitlines():
        if line.lstrip().startswith(FENCE):
            is_code = not is_code
        elif not is_code and re.match(HEADING, line):
            return line.strip().strip("#").strip()
        elif not is_code and before.strip() and re.match(UNDERLINE, line):
            return before.strip()
        before = "" if is_code else line
    return ""


PARSERS: Mapping[str, Callable[[str], Parsed]] = {
    MARKDOWN: _parse_markdown,
    HTML: lambda text: Parsed(*read_html(text)),
    TEXT: lambda text: Parsed("", text),
}
