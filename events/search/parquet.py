"""A file of Parquet that `make embed` wrote."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from events.search.files import Batch, refuse_content, refuse_sizes
from events.search.filters import Filter
from events.search.pages import PageReader

NUMBERS = "embedding.list.element"
"""The path of the column of numbers."""
BATCH = 4096
"""The most vectors of a batch that pyarrow reads: a row group of another writer may have millions."""
COLUMNS = ("id", "embedding", "metadata")
TYPES = {pa.float32(): "float32", pa.int8(): "int8", pa.uint8(): "uint8"}


class ParquetVectors:
    """The vectors and records of a file. A record's place is its row."""

    def __init__(self, path: Path) -> None:
        """Read the footer and the first vector.

        Raises:
            Refused: the file is not one that `make embed` wrote.
        """
        self._path = path
        with self._open() as file:
            schema, self._metadata = file.schema_arrow, file.metadata
            self.numbers = self._type_of(schema)
            self.size = self._first_size(file)
        groups = range(self._metadata.num_row_groups)
        self._starts = list(accumulate((self._metadata.row_group(group).num_rows for group in groups), initial=0))
        self._column = self._column_of_numbers()

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties in the footer."""
        return {name.decode(): value.decode() for name, value in (self._metadata.metadata or {}).items()}

    def read(self, most: int, condition: Filter | None) -> list[Iterator[Batch]]:
        """Deal out the row groups to `most` iterators."""
        groups = range(self._metadata.num_row_groups)
        return [self._read(groups[part::most], condition) for part in range(min(most, len(groups)))]

    def record(self, place: int) -> tuple[str, Mapping[str, Any]]:
        """Read one record."""
        group = int(np.searchsorted(self._starts, place, side="right")) - 1
        skip = place - self._starts[group]
        with self._open() as file:
            for rows in file.iter_batches(BATCH, [group], ["id", "metadata"], use_threads=False):
                if skip < len(rows):
                    row = rows.slice(skip, 1).to_pylist()[0]
                    return row["id"], orjson.loads(row["metadata"])
                skip -= len(rows)
        raise refuse_content(self._path, f"row {place} is missing")

    def _open(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        try:
            return pq.ParquetFile(self._path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise refuse_content(self._path, str(error)) from None

    def _type_of(self, schema: Any) -> str:  # noqa: ANN401 - pyarrow has no types
        if missing := [name for name in COLUMNS if name not in schema.names]:
            raise refuse_content(self._path, f"it has no column {' and no column '.join(missing)}")
        kind = schema.field("embedding").type
        if not pa.types.is_list(kind) or kind.value_type not in TYPES:
            raise refuse_content(self._path, f"its column embedding is of the type {kind}, not a list of float32, int8 or uint8")
        return TYPES[kind.value_type]

    def _first_size(self, file: Any) -> int:  # noqa: ANN401 - pyarrow has no types
        first = next(file.iter_batches(1, columns=["embedding"], use_threads=False), None)
        return 0 if first is None or not len(first) else len(first.column(0)[0])

    def _column_of_numbers(self) -> int | None:
        """Return the place of the column of numbers in a row group; None if there is none by the name that our writer gives it."""
        columns = range(self._metadata.num_columns)
        return next((column for column in columns if self._metadata.schema.column(column).path == NUMBERS), None)

    def _read(self, groups: range, condition: Filter | None) -> Iterator[Batch]:
        try:
            with self._open() as file, self._path.open("rb", buffering=0) as raw:
                pages = PageReader(raw, self.numbers, self.size)
                for group in groups:
                    yield from self._read_group(file, pages, group, condition)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise refuse_content(self._path, str(error)) from error

    def _read_group(self, file: Any, pages: PageReader, group: int, condition: Filter | None) -> Iterator[Batch]:  # noqa: ANN401
        described = self._metadata.row_group(group)
        rows, start = described.num_rows, self._starts[group]
        numbers = None if self._column is None else pages.read(described.column(self._column), rows)
        if numbers is None:
            yield from self._decode(file, group, condition)
            return
        metadata = None if condition is None else file.read_row_group(group, ["metadata"], use_threads=False)["metadata"]
        yield _batch(numbers, start, metadata, condition)

    def _decode(self, file: Any, group: int, condition: Filter | None) -> Iterator[Batch]:  # noqa: ANN401 - pyarrow has no types
        """Read a row group that another program wrote, or whose vectors have different lengths."""
        start = self._starts[group]
        columns = ["embedding"] if condition is None else ["embedding", "metadata"]
        for rows in file.iter_batches(BATCH, [group], columns, use_threads=False):
            metadata = None if condition is None else rows["metadata"]
            yield _batch(self._rows_of_numbers(rows["embedding"], start), start, metadata, condition)
            start += len(rows)

    def _rows_of_numbers(self, lists: Any, start: int) -> NDArray[Any]:  # noqa: ANN401 - pyarrow has no types
        sizes = lists.value_lengths().fill_null(0).to_numpy()
        other = np.flatnonzero(sizes != self.size)
        if other.size:
            raise refuse_sizes(self._path, f"in row {start + int(other[0])}", int(sizes[other[0]]), self.size)
        rows: NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), self.size)
        return rows


def _batch(numbers: NDArray[Any], start: int, metadata: Any, condition: Filter | None) -> Batch:  # noqa: ANN401 - pyarrow has no types
    """Return the vectors from the row `start` on that fulfil the condition.

    Only metadata that have the condition's text in them are parsed: parsing a million takes a second.
    """
    if condition is None:
        return Batch(numbers, np.arange(start, start + len(numbers)))
    near = np.flatnonzero(pc.match_substring(metadata, condition.needle))
    accepted = [condition.accepts(orjson.loads(text)) for text in metadata.take(pa.array(near)).to_pylist()]
    chosen = near[np.array(accepted, bool)]
    return Batch(numbers[chosen], chosen + start)
