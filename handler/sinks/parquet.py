"""Parquet files of vectors, in the simplest encoding of the format, written without pyarrow (165 MB; Lambda's limit is 250).

Each call writes one row group with one uncompressed PLAIN page for each column. int8 and uint8, which the format stores in 4 bytes,
are indices into a dictionary, a byte each:

    id         text
    embedding  list of float32, int8 or uint8
    tokens     int32
    truncated  boolean
    metadata   text (JSON)

No column has nulls. The same rows give the same bytes.

Law: rows in, bytes out; knows the format alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.sinks.thrift import (
    BINARY,
    FALSE,
    I8,
    I32,
    STRUCT,
    TRUE,
    Value,
    write_binary,
    write_int32,
    write_int64,
    write_list,
    write_struct,
    write_varint,
)

MAGIC = b"PAR1"
CREATED_BY = "embeddings-on-lambda"
LARGEST_PAGE = 2**31 - 1

# The numbers of enumerations in parquet.thrift.
BOOLEAN, INT32, FLOAT, BYTE_ARRAY = 0, 1, 4, 6
REQUIRED, REPEATED = 0, 2
UTF8, LIST, UINT_8, INT_8 = 0, 3, 11, 15
AS_STRING, AS_LIST, AS_INTEGER = 1, 3, 10
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
UNCOMPRESSED = 0
DATA_PAGE, DICTIONARY_PAGE = 0, 2

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `metadata` is JSON."""

    id: bytes
    embedding: NDArray[Any]
    tokens: int
    truncated: bool
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """The place of a column in the file. `values` counts each number of a list. `dictionary` is the size of the dictionary page."""

    offset: int
    size: int
    values: int
    dictionary: int = 0


@dataclass(frozen=True, slots=True)
class RowGroup:
    """The footer's entry for a row group."""

    rows: int
    chunks: tuple[Chunk, ...]


def write_row_group(rows: Sequence[Row], offset: int, numbers: str = "float32") -> tuple[bytes, RowGroup]:
    """Return the bytes of a row group of at least one row, to be written at `offset` of the file, and its entry in the footer.

    `numbers` names one of ELEMENTS: the type of all vectors of the file.
    """
    element = ELEMENTS[numbers]
    count = sum(row.embedding.size for row in rows)
    pages = [
        _page(len(rows), _texts(row.id for row in rows)),
        element.dictionary + write_numbers([row.embedding for row in rows], element),
        _page(len(rows), np.array([row.tokens for row in rows], "<i4").tobytes()),
        _page(len(rows), np.packbits([row.truncated for row in rows], bitorder="little").tobytes()),
        _page(len(rows), _texts(row.metadata for row in rows)),
    ]
    counts = [len(rows), count, len(rows), len(rows), len(rows)]
    dictionaries = [0, len(element.dictionary), 0, 0, 0]
    chunks = []
    for page, values, dictionary in zip(pages, counts, dictionaries, strict=True):
        chunks.append(Chunk(offset, len(page), values, dictionary))
        offset += len(page)
    return b"".join(pages), RowGroup(len(rows), tuple(chunks))


def write_footer(groups: Sequence[RowGroup], numbers: str = "float32", properties: Mapping[str, str] = NONE) -> bytes:
    """Return the last bytes of a file with these row groups. The file begins with MAGIC, and the first row group follows it.

    `properties` are texts by their names, which the format calls key-value metadata.
    """
    element = ELEMENTS[numbers]
    metadata = write_struct(
        (1, write_int32(1)),
        (2, write_list(STRUCT, _schema(element))),
        (3, write_int64(sum(group.rows for group in groups))),
        (4, write_list(STRUCT, [_describe_row_group(group, element) for group in groups])),
        *([(5, write_list(STRUCT, [_property(*pair) for pair in properties.items()]))] if properties else []),
        (6, write_binary(CREATED_BY.encode())),
    )
    return metadata + len(metadata).to_bytes(4, "little") + MAGIC


def write_file(rows: Sequence[Row], numbers: str = "float32") -> bytes:
    """Return a whole file, which may have no rows."""
    if not rows:
        return MAGIC + write_footer([], numbers)
    body, group = write_row_group(rows, len(MAGIC), numbers)
    return MAGIC + body + write_footer([group], numbers)


# --- Pages, which hold the values of a column ------------------------------------------------------------------------


def _page(values: int, body: bytes, encoding: int = PLAIN) -> bytes:
    return _page_header(values, len(body), encoding) + body


def _page_header(values: int, size: int, encoding: int) -> bytes:
    if size > LARGEST_PAGE:
        msg = f"A column of a row group may have {LARGEST_PAGE} bytes; this one has {size}"
        raise ValueError(msg)
    header = write_struct((1, write_int32(values)), (2, write_int32(encoding)), (3, write_int32(RLE)), (4, write_int32(RLE)))
    return write_struct((1, write_int32(DATA_PAGE)), (2, write_int32(size)), (3, write_int32(size)), (5, (STRUCT, header)))


def _texts(texts: Iterable[bytes]) -> bytes:
    return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))


def write_numbers(vectors: Sequence[NDArray[Any]], element: "Element") -> bytes:
    """Return the page of all numbers of the lists, one list after the other."""
    numbers = b"".join(np.ascontiguousarray(vector, element.number).tobytes() for vector in vectors)
    start, padding = write_start_of_numbers([vector.size for vector in vectors], element)
    return b"".join([start, numbers, bytes(padding)])


def write_start_of_numbers(sizes: Sequence[int], element: "Element") -> tuple[bytes, int]:
    """Return the bytes of a page that come before its numbers, for lists of these sizes, and the count of zeros that follow them.

    A page that begins with these bytes has the numbers themselves after them: `make search` reads them as they are.
    """
    values = sum(sizes)
    size = values * np.dtype(element.number).itemsize
    levels = _levels(sizes)
    indices, padding = _indices(size) if element.dictionary else (b"", 0)
    header = _page_header(values, len(levels) + len(indices) + size + padding, element.encodings[-1])
    return header + levels + indices, padding


def _levels(sizes: Sequence[int]) -> bytes:
    """Return the repetition levels and the definition levels of the numbers of all lists.

    The repetition level is 0 at the first number of a list and 1 at the others. The definition level of a number is 1. Levels are
    written as runs: twice the length of the run, then the level.
    """
    repetition = b"".join(
        (write_varint(1 << 1) + b"\0" + (write_varint(length - 1 << 1) + b"\1" if length > 1 else b"")) * len(list(same))
        for length, same in groupby(sizes)
    )
    definition = write_varint(sum(sizes) << 1) + b"\1"
    return b"".join(part for level in (repetition, definition) for part in (len(level).to_bytes(4, "little"), level))


def _indices(count: int) -> tuple[bytes, int]:
    """Begin indices of one byte: their width in bits, then one run of groups of 8. Return also how many zeros fill up the run."""
    groups = -(-count // 8)
    return b"\x08" + write_varint(groups << 1 | 1), groups * 8 - count


# --- Parts of the footer -----------------------------------------------------------------------------------


def _element(name: str, *fields: tuple[int, Value], repetition: int = REQUIRED) -> bytes:
    """Encode one element of the schema. `fields` are its type (1), the number of its children (5), and its meaning (6 and 10)."""
    return write_struct(*sorted([(3, write_int32(repetition)), (4, write_binary(name.encode())), *fields]))


def _meaning(converted: int, logical: int, parameters: bytes = b"\0") -> tuple[tuple[int, Value], ...]:
    """Return the meaning of an element: its converted type for older readers, its logical type for newer ones."""
    return (6, write_int32(converted)), (10, (STRUCT, write_struct((logical, (STRUCT, parameters)))))


@dataclass(frozen=True, slots=True)
class Element:
    """The encoding of the numbers of the lists: `number` names their type in numpy.

    `kind` is the format's type, and `meaning` what readers take it for. If there is a `dictionary`, which is a page of its own, the
    numbers are indices into it. `encodings` are those of its pages; that of the numbers is the last.
    """

    number: str
    kind: int = FLOAT
    meaning: tuple[tuple[int, Value], ...] = ()
    dictionary: bytes = b""
    encodings: tuple[int, ...] = (RLE, PLAIN)


def _integers(number: str, converted: int, *, is_signed: bool) -> Element:
    """Make the encoding of integers of 8 bits: the dictionary holds all of them, each at the index that its own byte is."""
    everything = np.arange(256, dtype=np.uint8).view(number).astype("<i4").tobytes()
    header, size = write_struct((1, write_int32(256)), (2, write_int32(PLAIN))), write_int32(len(everything))
    page = write_struct((1, write_int32(DICTIONARY_PAGE)), (2, size), (3, size), (7, (STRUCT, header))) + everything
    width = write_struct((1, (I8, b"\x08")), (2, (TRUE if is_signed else FALSE, b"")))
    return Element(number, INT32, _meaning(converted, AS_INTEGER, width), page, (PLAIN, RLE, RLE_DICTIONARY))


ELEMENTS = {
    "float32": Element("<f4"),
    "int8": _integers("int8", INT_8, is_signed=True),
    "uint8": _integers("uint8", UINT_8, is_signed=False),
}
"""By the name of the type in numpy."""


def _schema(element: Element) -> list[bytes]:
    """List the elements of the schema depth first: the children of an element follow it."""
    return [
        write_struct((4, write_binary(b"schema")), (5, write_int32(5))),
        _element("id", (1, write_int32(BYTE_ARRAY)), *_meaning(UTF8, AS_STRING)),
        _element("embedding", (5, write_int32(1)), *_meaning(LIST, AS_LIST)),
        _element("list", (5, write_int32(1)), repetition=REPEATED),
        _element("element", (1, write_int32(element.kind)), *element.meaning),
        _element("tokens", (1, write_int32(INT32))),
        _element("truncated", (1, write_int32(BOOLEAN))),
        _element("metadata", (1, write_int32(BYTE_ARRAY)), *_meaning(UTF8, AS_STRING)),
    ]


def _property(name: str, value: str) -> bytes:
    return write_struct((1, write_binary(name.encode())), (2, write_binary(value.encode())))


def _columns(element: Element) -> tuple[tuple[int, tuple[bytes, ...], tuple[int, ...]], ...]:
    """Return the type of each column, its path in the schema, and the encodings of its pages."""
    return (
        (BYTE_ARRAY, (b"id",), (PLAIN,)),
        (element.kind, (b"embedding", b"list", b"element"), element.encodings),
        (INT32, (b"tokens",), (PLAIN,)),
        (BOOLEAN, (b"truncated",), (PLAIN,)),
        (BYTE_ARRAY, (b"metadata",), (PLAIN,)),
    )


def _describe_row_group(group: RowGroup, element: Element) -> bytes:
    chunks = []
    for (kind, path, encodings), chunk in zip(_columns(element), group.chunks, strict=True):
        size = write_int64(chunk.size)
        dictionary = [(11, write_int64(chunk.offset))] if chunk.dictionary else []
        metadata = write_struct(
            (1, write_int32(kind)),
            (2, write_list(I32, [write_int32(encoding)[1] for encoding in encodings])),
            (3, write_list(BINARY, [write_binary(part)[1] for part in path])),
            (4, write_int32(UNCOMPRESSED)),
            (5, write_int64(chunk.values)),
            (6, size),
            (7, size),
            (9, write_int64(chunk.offset + chunk.dictionary)),
            *dictionary,
        )
        chunks.append(write_struct((2, write_int64(chunk.offset)), (3, (STRUCT, metadata))))
    total = sum(chunk.size for chunk in group.chunks)
    return write_struct((1, write_list(STRUCT, chunks)), (2, write_int64(total)), (3, write_int64(group.rows)))
