"""Files are read record by record, from any record on, whatever is wrong with some records."""

import csv
import gzip
import io
import json
import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import Validation
from handler.records import Failure
from handler.sources.file_lines import MOST_RECORD_BYTES
from handler.sources.files import FileRecord, find_file_kind, read_file
from tests.handler.sources.held import Held


def read(content: bytes, kind: str = "jsonl", offset: int = 0, part: int = 1 << 16) -> list[FileRecord]:
    """Read all records of a file."""
    return list(read_file(Held(content, part), kind, "inputs", offset))


def outcome(record: FileRecord) -> Any:  # noqa: ANN401 - JSON
    """Return a record's fields, or else its error."""
    return record.fields.error if isinstance(record.fields, Failure) else record.fields


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FIELDS = st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.none()).filter(lambda fields: fields.get("id") is None)
MEMBERS = st.sampled_from([None, 1, 3])


@dataclass(frozen=True)
class Style:
    """A way to write a file of JSONL: its line ends, its byte order mark, whether the last line has an end, and gzip."""

    ending: bytes
    mark: bytes
    last: bool
    members: int | None


STYLES = st.builds(
    Style, st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n \r\n"]), st.sampled_from([b"", b"\xef\xbb\xbf"]), st.booleans(), MEMBERS
)


def packed(content: bytes, members: int | None) -> bytes:
    """Return the content as it is, or as a gzip of so many members."""
    if members is None:
        return content
    size = -(-len(content) // members) or 1
    return b"".join(gzip.compress(content[begin : begin + size]) for begin in range(0, len(content), size)) or gzip.compress(b"")


@settings(deadline=None)
@given(st.lists(FIELDS), STYLES, st.integers(1, 40))
def test_jsonl_can_be_read_from_any_record_on(records: list[dict[str, Any]], style: Style, part: int) -> None:
    """The bytes may come in parts of any size."""
    lines = [json.dumps(fields, ensure_ascii=False).encode() for fields in records]
    plain = style.mark + style.ending.join(lines) + (style.ending if style.last else b"")
    content = packed(plain, style.members)
    whole = read(content, part=part)
    assert [{**outcome(record), "id": None} for record in whole] == [{**fields, "id": None} for fields in records]
    assert [outcome(record)["id"] for record in whole] == [f"file:{record.start}" for record in whole]
    assert [json.loads(plain[record.start : record.end].decode("utf-8-sig")) for record in whole] == records
    for place, record in enumerate(whole):
        assert read(content, offset=record.end, part=part) == whole[place + 1 :]


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS)), st.sampled_from(["\n", "\r\n"]), st.integers(1, 40), MEMBERS)
def test_csv_can_be_read_from_any_record_on(rows: list[tuple[str, str]], ending: str, part: int, members: int | None) -> None:
    """Values may contain commas, quotes and line ends, so a record may have several lines."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(["title", "inputs"])
    writer.writerows(rows)
    content = packed(written.getvalue().encode(), members)
    whole = read(content, "csv", part=part)
    assert [(outcome(record).get("title", ""), outcome(record)["inputs"]) for record in whole] == rows
    for place, record in enumerate(whole):
        assert read(content, "csv", offset=record.end, part=part) == whole[place + 1 :]


def test_a_line_of_plain_text_is_a_record() -> None:
    """An empty line is no record."""
    first, second = read("\ufeffFirst, “with” signs.\r\n\n  \nSecond.".encode(), "text")
    assert outcome(first) == {"inputs": "First, “with” signs.", "id": "file:0"}
    assert outcome(second) == {"inputs": "Second.", "id": f"file:{second.start}"}


def test_a_record_keeps_its_own_id() -> None:
    """An id may have any type, and null means that there is none."""
    assert [outcome(record)["id"] for record in read(b'{"id": 7}\n{"id": "a"}\n{"id": null}')] == [7, "a", "file:22"]


BAD_LINES = [
    (b'{"inputs": "cut', "is not JSON: unexpected end of data: line 1 column 16 (char 15)"),
    (b"[1]", "must be a JSON object. Given: a list"),
    (b'{"inputs": NaN}', "is not JSON: unexpected character, expected a JSON value: line 1 column 12 (char 11)"),
    (b'{"inputs": "\xe9t\xe9"}', "is not UTF-8: invalid continuation byte (0xe9) after 12 bytes"),
    (b"\xff\xfe{\x00", "is not UTF-8: invalid start byte (0xff) after 0 bytes"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[reason for _, reason in BAD_LINES])
def test_a_bad_line_is_a_failure_and_the_next_one_follows(line: bytes, reason: str) -> None:
    """The failure names the place, and has nothing of the text."""
    first, bad, last = read(b'{"a": 1}\n' + line + b'\n{"a": 2}')
    assert isinstance(bad.fields, Failure)
    assert (bad.fields.id, bad.fields.transient) == ("file:9", False)
    assert bad.fields.error == f"The record at byte 9 {reason}"
    assert (bad.start, bad.end) == (9, 10 + len(line))
    assert (outcome(first)["a"], outcome(last)["a"]) == (1, 2)


def test_a_line_that_is_a_json_string_is_a_text() -> None:
    """A string has no fields, so it can only be the text."""
    assert outcome(read(b'"Just a text."')[0])["inputs"] == "Just a text."


@pytest.mark.parametrize("kind", ["jsonl", "text", "csv"])
@pytest.mark.parametrize("members", [None, 2])
def test_a_line_that_is_too_long_is_refused_and_never_held_in_memory(kind: str, members: int | None) -> None:
    """A line of 50 MB takes less than 12 MB of memory, and the line after it is read."""
    head = {"jsonl": b'{"inputs": "a"}\n', "text": b"a\n", "csv": b"inputs\na\n"}[kind]
    last = {"jsonl": b'\n{"inputs": "b"}', "text": b"\nb", "csv": b"\nb"}[kind]
    content = packed(head + b"x" * 50_000_000 + last, members)
    tracemalloc.start()
    first, long, after = read(content, kind)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000
    assert outcome(long) == f"The record at byte {len(head)} is longer than {MOST_RECORD_BYTES} bytes"
    assert long.end - long.start == 50_000_001
    assert (outcome(first)["inputs"], outcome(after)["inputs"]) == ("a", "b")


def test_the_limit_of_a_line_is_exact() -> None:
    """A line of 2,000,000 bytes is read, and one byte more is too long."""
    fits, over = ('{"inputs": "' + "x" * (MOST_RECORD_BYTES - 14 + more) + '"}' for more in (0, 1))
    first, second = read(f"{fits}\n{over}\n".encode())
    assert len(outcome(first)["inputs"]) == MOST_RECORD_BYTES - 14
    assert "is longer than" in outcome(second)


def test_a_csv_whose_quote_is_never_closed_is_not_held_in_memory() -> None:
    """Every byte belongs to a record or a failure, so nothing is skipped silently."""
    content = b'inputs\ngood\n"never closed\n' + (b"x" * 499 + b"\n") * 10_000
    whole = read(content, "csv")
    assert outcome(whole[0])["inputs"] == "good"
    assert outcome(whole[1]) == f"The record at byte 12 is longer than {MOST_RECORD_BYTES} bytes"
    assert [record.end for record in whole[:-1]] == [record.start for record in whole[1:]]
    assert whole[-1].end == len(content)


HEADER = "The record at byte 0 is the header. It must name each column once, and `inputs` among them. Given: "
BAD_CSV = [
    (b"title\nx", HEADER + "'title'"),
    (b"inputs,inputs\nx,y", HEADER + "'inputs', 'inputs'"),
    (b"\xff\xfe", "The record at byte 0 is not UTF-8: invalid start byte (0xff) after 0 bytes"),
    (b"inputs,b\nx", "The record at byte 9 has 1 fields; the header has 2"),
    (b'inputs\n"a"b', "The record at byte 7 is not CSV: ',' expected after '\"'"),
    (b'inputs\n"a', "The record at byte 7 is not CSV: unexpected end of data"),
    (b"inputs\n\xe9", "The record at byte 7 is not UTF-8: unexpected end of data (0xe9) after 0 bytes"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_CSV, ids=[reason for _, reason in BAD_CSV])
def test_a_bad_csv_gives_one_failure_with_the_reason(content: bytes, reason: str) -> None:
    """A bad header gives a single failure; a bad record gives its own."""
    assert [outcome(record) for record in read(content, "csv")] == [reason]


def test_an_empty_cell_means_that_the_field_is_not_given() -> None:
    """An empty text is kept, so that it is refused as empty."""
    assert [outcome(record) for record in read(b"id,inputs,prompt_name\n1,,\n,b,query", "csv")] == [
        {"id": "1", "inputs": ""},
        {"id": "file:26", "inputs": "b", "prompt_name": "query"},
    ]


@pytest.mark.parametrize("kind", ["jsonl", "text", "csv"])
def test_an_empty_file_has_no_records(kind: str) -> None:
    """The gzip of an empty file has none either."""
    assert read(b"", kind) == read(gzip.compress(b""), kind) == []


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_damaged_gzip_gives_the_records_before_the_damage_and_then_a_failure(kind: str) -> None:
    """The gzip ends too early, has wrong bytes in its middle, or is followed by something that is no gzip."""
    line, head = {"jsonl": ('{"inputs": "%d"}\n', ""), "csv": ("%d\n", "inputs\n")}[kind]
    whole = gzip.compress((head + "".join(line % number for number in range(50_000))).encode(), mtime=0)
    middle = len(whole) // 2
    for content, says in (
        (whole[:middle], "the gzip ends before it is whole"),
        (whole[:middle] + b"\xff" * 40 + whole[middle + 40 :], "the gzip is damaged"),
        (whole + b"no gzip", "the gzip is damaged"),
    ):
        *good, last = read(content, kind, part=4096)
        assert says in outcome(last)
        assert len(good) > 10_000
        assert last.start == good[-1].end
        assert outcome(good[9999])["inputs"] == "9999"
    assert len(read(whole + b"\0" * 512, kind)) == 50_000


def test_a_line_in_very_many_members_takes_linear_time() -> None:
    """Each member has one byte. No member copies the bytes before it or after it."""
    line = b'{"inputs": "' + b"a" * 200_000 + b'"}\n'
    parts = {bytes([byte]): gzip.compress(bytes([byte]), 1) for byte in set(line)}
    content = b"".join(parts[bytes([byte])] for byte in line)
    started = time.process_time()
    (only,) = read(content, part=8 << 20)
    assert outcome(only)["inputs"] == "a" * 200_000
    assert time.process_time() - started < 10


def test_a_gzip_bomb_is_not_held_in_memory() -> None:
    """100 MB of zeros are compressed to 100 kB."""
    bomb = gzip.compress(bytes(100_000_000), 1)
    tracemalloc.start()
    (only,) = read(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "is longer than" in outcome(only)
    assert peak < 12_000_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl", "jsonl"), ("a/b.c/D.NDJSON.gz", "jsonl"), ("a.csv", "csv"), ("a.csv.gz", "csv"), (".txt", "text")],
)
def test_the_ending_of_a_name_decides_the_kind_of_file(name: str, kind: str) -> None:
    """Upper case and lower case count alike, and `.gz` may follow."""
    assert find_file_kind(name) == kind


@pytest.mark.parametrize("name", ["jsonl", "a.json", "a.parquet", "a.gz", "a.", ""])
def test_an_unknown_ending_is_refused(name: str) -> None:
    """The sentence lists the known endings."""
    with pytest.raises(
        Validation, match=r"^The file must end in \.jsonl, \.ndjson, \.csv, \.txt, .* or \.htm, with or without \.gz after it\. "
    ):
        find_file_kind(name)


@pytest.mark.parametrize(("name", "command"), [("a.pdf", "pdftotext IN.pdf OUT.txt"), ("b/a.DOCX", "pandoc IN -o OUT.md")])
def test_a_document_that_is_not_read_is_refused_with_the_command_that_makes_text_of_it(name: str, command: str) -> None:
    """Libraries for these formats would not fit into the layer, or read them less well."""
    with pytest.raises(Validation, match=rf"^Files of \.\w+ are not read\. Convert it to text first, for example with: {command}$"):
        find_file_kind(name)
