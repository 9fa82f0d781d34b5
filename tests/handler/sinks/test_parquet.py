"""pyarrow reads the Parquet files as they were written."""

import io
import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handler.sinks.parquet import MAGIC, Row, write_file, write_footer, write_row_group

VECTORS = st.integers(1, 300).flatmap(
    lambda size: arrays(np.float32, size, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
ROWS = st.lists(
    st.builds(
        Row,
        id=st.text(st.characters(exclude_categories=["Cs"])).map(str.encode),
        embedding=VECTORS,
        tokens=st.integers(0, 2**31 - 1),
        truncated=st.booleans(),
        metadata=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.text("äß\u2028\U0001f600")
        ).map(lambda fields: json.dumps(fields, ensure_ascii=False).encode()),
    ),
    max_size=40,
)


def read(content: bytes) -> list[dict[str, Any]]:
    """Return the rows that pyarrow reads."""
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def same(read_row: dict[str, Any], row: Row) -> bool:
    """Return whether a row was read as it was written, bit for bit."""
    return (
        read_row["id"] == row.id.decode()
        and np.array(read_row["embedding"], np.float32).tobytes() == row.embedding.astype("<f4").tobytes()
        and (read_row["tokens"], read_row["truncated"]) == (row.tokens, row.truncated)
        and read_row["metadata"] == row.metadata.decode()
    )


@settings(deadline=None)  # reading takes as long as this machine is busy
@given(ROWS)
def test_every_row_is_read_as_it_was_written(rows: list[Row]) -> None:
    """Rows have any text, any finite numbers, and lists of different lengths."""
    content = write_file(rows)
    got = read(content)
    assert len(got) == len(rows)
    assert all(same(one, row) for one, row in zip(got, rows, strict=True))
    assert write_file(rows) == content, "The same rows give the same bytes"


@settings(deadline=None)
@given(st.lists(ROWS.filter(bool), max_size=20))
def test_a_file_may_have_several_row_groups(groups: list[list[Row]]) -> None:
    """`make embed` appends one group after the other, and ends with the footer."""
    content, entries = MAGIC, []
    for rows in groups:
        body, entry = write_row_group(rows, len(content))
        content += body
        entries.append(entry)
    content += write_footer(entries)
    assert pq.ParquetFile(io.BytesIO(content)).metadata.num_row_groups == len(groups)
    rows = [row for group in groups for row in group]
    assert all(same(one, row) for one, row in zip(read(content), rows, strict=True))


@settings(deadline=None)
@given(
    numbers=st.sampled_from(["int8", "uint8"]),
    groups=st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=9), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_small_vectors_are_read_as_integers_of_8_bits(numbers: str, groups: list[list[int]], seed: int) -> None:
    """Every byte there is, lists of different lengths, several row groups."""
    generator = np.random.default_rng(seed)
    vectors = [[generator.integers(0, 256, size, np.uint8).view(numbers) for size in sizes] for sizes in groups]
    content, entries = MAGIC, []
    for group in vectors:
        body, entry = write_row_group(
            [Row(b"a", vector, 1, truncated=False, metadata=b"{}") for vector in group], len(content), numbers
        )
        content += body
        entries.append(entry)
    table = pq.read_table(io.BytesIO(content + write_footer(entries, numbers)))
    assert str(table.schema.field("embedding").type) == f"list<element: {numbers} not null>"
    assert table["embedding"].to_pylist() == [vector.tolist() for group in vectors for vector in group]


@pytest.mark.parametrize("numbers", ["int8", "uint8"])
def test_a_byte_of_a_small_vector_takes_a_byte_of_the_file(numbers: str) -> None:
    """The format's own integers take four."""
    rows = [Row(b"a", np.full(384, 7, numbers), 1, truncated=False, metadata=b"{}")] * 1000
    assert len(write_file(rows, numbers)) < 1.1 * 1000 * 384


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_files_of_any_number_of_rows_are_read(count: int) -> None:
    """A file may have no rows, one row, or more rows than a shard."""
    vectors = np.random.default_rng(1).standard_normal((count, 384), np.float32)
    rows = [Row(str(number).encode(), vector, number, number % 3 == 0, b"{}") for number, vector in enumerate(vectors)]
    table = pq.read_table(io.BytesIO(write_file(rows)))
    assert table.num_rows == count
    assert table["id"].to_pylist() == [str(number) for number in range(count)]
    assert table["truncated"].to_pylist() == [number % 3 == 0 for number in range(count)]
    assert table["embedding"].combine_chunks().flatten().to_numpy().tobytes() == vectors.tobytes()


def test_columns_have_the_types_that_readers_expect() -> None:
    """Readers expect strings instead of bytes, and a list instead of a repeated field."""
    assert str(pq.read_schema(io.BytesIO(write_file([])))).split("\n") == [
        "id: string not null",
        "embedding: list<element: float not null> not null",
        "  child 0, element: float not null",
        "tokens: int32 not null",
        "truncated: bool not null",
        "metadata: string not null",
    ]
