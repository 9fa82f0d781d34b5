"""Files of text are read record by record, whatever is wrong with some of them, and from any record on."""

import csv
import gzip
import io
import json
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import Validation
from handler.records import Failure
from handler.sources.files import MOST_RECORD_BYTES, Piece, kind_from, pieces


@dataclass(frozen=True)
class Held:
    """Bytes in memory, read in small parts."""

    content: bytes
    part: int = 1 << 16
    name: str = "file"

    def read(self, offset: int) -> Iterator[bytes]:
        """Parts of the size."""
        for begin in range(offset, len(self.content), self.part):
            yield self.content[begin : begin + self.part]


def read(content: bytes, kind: str = "jsonl", offset: int = 0, part: int = 1 << 16) -> list[Piece]:
    """All pieces."""
    return list(pieces(Held(content, part), kind, "inputs", offset))


def told(piece: Piece) -> Any:  # noqa: ANN401 - JSON
    """A piece's fields, or what is wrong."""
    return piece.fields.error if isinstance(piece.fields, Failure) else piece.fields


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FIELDS = st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.none()).filter(lambda fields: fields.get("id") is None)
MEMBERS = st.sampled_from([None, 1, 3])


@dataclass(frozen=True)
class Look:
    """What a file of JSONL can be like: line ends, a byte order mark, an end of the last line, gzip."""

    ending: bytes
    mark: bytes
    last: bool
    members: int | None


LOOKS = st.builds(
    Look, st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n \r\n"]), st.sampled_from([b"", b"\xef\xbb\xbf"]), st.booleans(), MEMBERS
)


def packed(content: bytes, members: int | None) -> bytes:
    """As it is, or in so many members of a gzip."""
    if members is None:
        return content
    size = -(-len(content) // members) or 1
    return b"".join(gzip.compress(content[begin : begin + size]) for begin in range(0, len(content), size)) or gzip.compress(b"")


@settings(deadline=None)
@given(st.lists(FIELDS), LOOKS, st.integers(1, 40))
def test_jsonl_is_read_alike_from_any_record_on(records: list[dict[str, Any]], look: Look, part: int) -> None:
    """In parts of any size."""
    lines = [json.dumps(fields, ensure_ascii=False).encode() for fields in records]
    plain = look.mark + look.ending.join(lines) + (look.ending if look.last else b"")
    content = packed(plain, look.members)
    whole = read(content, part=part)
    assert [{**told(piece), "id": None} for piece in whole] == [{**fields, "id": None} for fields in records]
    assert [told(piece)["id"] for piece in whole] == [f"file:{piece.start}" for piece in whole]
    assert [json.loads(plain[piece.start : piece.end].decode("utf-8-sig")) for piece in whole] == records
    for place, piece in enumerate(whole):
        assert read(content, offset=piece.end, part=part) == whole[place + 1 :]


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS)), st.sampled_from(["\n", "\r\n"]), st.integers(1, 40), MEMBERS)
def test_csv_is_read_alike_from_any_record_on(rows: list[tuple[str, str]], ending: str, part: int, members: int | None) -> None:
    """Quoted commas, quotes and line ends: a record may have several lines."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(["title", "inputs"])
    writer.writerows(rows)
    content = packed(written.getvalue().encode(), members)
    whole = read(content, "csv", part=part)
    assert [(told(piece).get("title", ""), told(piece)["inputs"]) for piece in whole] == rows
    for place, piece in enumerate(whole):
        assert read(content, "csv", offset=piece.end, part=part) == whole[place + 1 :]


def test_a_line_of_plain_text_is_a_record() -> None:
    """Empty ones are none."""
    first, second = read("\ufeffFirst, “with” signs.\r\n\n  \nSecond.".encode(), "text")
    assert told(first) == {"inputs": "First, “with” signs.", "id": "file:0"}
    assert told(second) == {"inputs": "Second.", "id": f"file:{second.start}"}


def test_an_id_of_its_own_is_kept() -> None:
    """Of any type; null is none."""
    assert [told(piece)["id"] for piece in read(b'{"id": 7}\n{"id": "a"}\n{"id": null}')] == [7, "a", "file:22"]


BAD_LINES = [
    (b'{"inputs": "cut', "is not JSON: unexpected end of data: line 1 column 16 (char 15)"),
    (b"[1]", "must be a JSON object. Given: a list"),
    (b'{"inputs": NaN}', "is not JSON: unexpected character, expected a JSON value: line 1 column 12 (char 11)"),
    (b'{"inputs": "\xe9t\xe9"}', "is not UTF-8: invalid continuation byte (0xe9) after 12 bytes"),
    (b"\xff\xfe{\x00", "is not UTF-8: invalid start byte (0xff) after 0 bytes"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[reason for _, reason in BAD_LINES])
def test_a_bad_line_is_a_failure_and_the_next_one_follows(line: bytes, reason: str) -> None:
    """With its place, and nothing of its text."""
    first, bad, last = read(b'{"a": 1}\n' + line + b'\n{"a": 2}')
    assert isinstance(bad.fields, Failure)
    assert (bad.fields.id, bad.fields.transient) == ("file:9", False)
    assert bad.fields.error == f"The record at byte 9 {reason}"
    assert (bad.start, bad.end) == (9, 10 + len(line))
    assert (told(first)["a"], told(last)["a"]) == (1, 2)


def test_a_bare_string_is_a_text() -> None:
    """It can be nothing else."""
    assert told(read(b'"Just a text."')[0])["inputs"] == "Just a text."


@pytest.mark.parametrize("kind", ["jsonl", "text", "csv"])
@pytest.mark.parametrize("members", [None, 2])
def test_a_line_that_is_too_long_is_refused_and_never_held(kind: str, members: int | None) -> None:
    """50 MB in one line take a few; what comes after it is read."""
    head = {"jsonl": b'{"inputs": "a"}\n', "text": b"a\n", "csv": b"inputs\na\n"}[kind]
    last = {"jsonl": b'\n{"inputs": "b"}', "text": b"\nb", "csv": b"\nb"}[kind]
    content = packed(head + b"x" * 50_000_000 + last, members)
    tracemalloc.start()
    first, long, after = read(content, kind)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000
    assert told(long) == f"The record at byte {len(head)} is longer than {MOST_RECORD_BYTES} bytes"
    assert long.end - long.start == 50_000_001
    assert (told(first)["inputs"], told(after)["inputs"]) == ("a", "b")


def test_a_text_of_two_megabytes_is_refused_and_one_below_is_not() -> None:
    """The limit is the line's."""
    fits, over = ('{"inputs": "' + "x" * (MOST_RECORD_BYTES - 14 + more) + '"}' for more in (0, 1))
    first, second = read(f"{fits}\n{over}\n".encode())
    assert len(told(first)["inputs"]) == MOST_RECORD_BYTES - 14
    assert "is longer than" in told(second)


def test_a_csv_whose_quote_is_never_closed_fails_once_and_is_not_held() -> None:
    """Nothing is skipped without a word: pieces cover all bytes."""
    content = b'inputs\ngood\n"never closed\n' + (b"x" * 499 + b"\n") * 10_000
    whole = read(content, "csv")
    assert told(whole[0])["inputs"] == "good"
    assert told(whole[1]) == f"The record at byte 12 is longer than {MOST_RECORD_BYTES} bytes"
    assert [piece.end for piece in whole[:-1]] == [piece.start for piece in whole[1:]]
    assert whole[-1].end == len(content)


NAMES = "The record at byte 0 names the columns, and must name each once, `inputs` among them. Given: "
BAD_CSV = [
    (b"title\nx", NAMES + "'title'"),
    (b"inputs,inputs\nx,y", NAMES + "'inputs', 'inputs'"),
    (b"\xff\xfe", "The record at byte 0 is not UTF-8: invalid start byte (0xff) after 0 bytes"),
    (b"inputs,b\nx", "The record at byte 9 has 1 fields; the header has 2"),
    (b'inputs\n"a"b', "The record at byte 7 is not CSV: ',' expected after '\"'"),
    (b'inputs\n"a', "The record at byte 7 is not CSV: unexpected end of data"),
    (b"inputs\n\xe9", "The record at byte 7 is not UTF-8: unexpected end of data (0xe9) after 0 bytes"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_CSV, ids=[reason for _, reason in BAD_CSV])
def test_what_is_wrong_with_a_csv_is_said(content: bytes, reason: str) -> None:
    """Of its header once, then of each record."""
    assert [told(piece) for piece in read(content, "csv")] == [reason]


def test_an_empty_cell_says_nothing_but_that_there_is_no_text() -> None:
    """An empty prompt_name is no prompt's name."""
    assert [told(piece) for piece in read(b"id,inputs,prompt_name\n1,,\n,b,query", "csv")] == [
        {"id": "1", "inputs": ""},
        {"id": "file:26", "inputs": "b", "prompt_name": "query"},
    ]


@pytest.mark.parametrize("kind", ["jsonl", "text", "csv"])
def test_nothing_has_no_records(kind: str) -> None:
    """Nor has a gzip of nothing."""
    assert read(b"", kind) == read(gzip.compress(b""), kind) == []


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_damaged_gzip_gives_what_comes_before_the_damage_and_says_where_it_is(kind: str) -> None:
    """Cut, with other bytes in its middle, and with something behind it that is no gzip."""
    line, head = {"jsonl": ('{"inputs": "%d"}\n', ""), "csv": ("%d\n", "inputs\n")}[kind]
    whole = gzip.compress((head + "".join(line % number for number in range(50_000))).encode(), mtime=0)
    middle = len(whole) // 2
    for content, says in (
        (whole[:middle], "the gzip ends before it is whole"),
        (whole[:middle] + b"\xff" * 40 + whole[middle + 40 :], "the gzip is damaged"),
        (whole + b"no gzip", "the gzip is damaged"),
    ):
        *good, last = read(content, kind, part=4096)
        assert says in told(last)
        assert len(good) > 10_000
        assert last.start == good[-1].end
        assert told(good[9999])["inputs"] == "9999"
    assert len(read(whole + b"\0" * 512, kind)) == 50_000


def test_a_line_of_very_many_members_takes_linear_time() -> None:
    """A byte in each: neither what follows a member nor what came before it is copied for each."""
    line = b'{"inputs": "' + b"a" * 200_000 + b'"}\n'
    parts = {bytes([byte]): gzip.compress(bytes([byte]), 1) for byte in set(line)}
    content = b"".join(parts[bytes([byte])] for byte in line)
    started = time.process_time()
    (only,) = read(content, part=8 << 20)
    assert told(only)["inputs"] == "a" * 200_000
    assert time.process_time() - started < 10


def test_a_bomb_is_not_held() -> None:
    """100 MB of zeros in 100 kB."""
    bomb = gzip.compress(bytes(100_000_000), 1)
    tracemalloc.start()
    (only,) = read(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "is longer than" in told(only)
    assert peak < 12_000_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl", "jsonl"), ("a/b.c/D.NDJSON.gz", "jsonl"), ("a.csv", "csv"), ("a.csv.gz", "csv"), (".txt", "text")],
)
def test_the_ending_says_the_kind(name: str, kind: str) -> None:
    """Upper case or lower case, gzip or not."""
    assert kind_from(name) == kind


@pytest.mark.parametrize("name", ["jsonl", "a.json", "a.parquet", "a.gz", "a.", ""])
def test_another_ending_is_refused(name: str) -> None:
    """With those that are taken."""
    with pytest.raises(
        Validation, match=r"^The file must end in \.jsonl, \.ndjson, \.csv or \.txt, with or without \.gz behind it\. "
    ):
        kind_from(name)
