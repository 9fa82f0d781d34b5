"""Read the numbers of a row group as they are in the file, if `make embed` wrote it.

The writer (handler/sinks/parquet.py) puts the numbers of a row group one after the other, uncompressed. The bytes before them
depend only on the count and the sizes of the lists. If a row group has exactly these bytes, its numbers need no decoding. Every
other row group is left to pyarrow.

Law: knows the writer's layout alone.
"""

from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handler.sinks.parquet import ELEMENTS, write_start_of_numbers

ALIGNMENT = 64
"""Numbers begin at a multiple of so many bytes in memory, as processors read them best."""


class PageReader:
    """Reads the numbers of one row group after the other into the same memory."""

    def __init__(self, file: BinaryIO, numbers: str, size: int) -> None:
        """Read lists of `size` numbers of the type that numpy calls `numbers` from an open file."""
        self._file = file
        self._numbers = numbers
        self._dtype = np.dtype(ELEMENTS[numbers].number)
        self._size = size
        self._memory = np.empty(0, np.uint8)

    def read(self, column: Any, rows: int) -> NDArray[Any] | None:  # noqa: ANN401 - pyarrow has no types
        """Return the numbers as (rows, size), valid until the next call; None if the row group has another layout.

        `column` is pyarrow's description of the column of numbers in the row group.
        """
        before, after = _around(rows, self._size, self._numbers)
        count = rows * self._size
        expected = len(before) + count * self._dtype.itemsize + after
        if column.total_compressed_size != expected:
            return None
        start = -len(before) % ALIGNMENT
        content = self._reserve(start + expected)[start : start + expected]
        self._file.seek(column.data_page_offset if column.dictionary_page_offset is None else column.dictionary_page_offset)
        if self._file.readinto(content) != expected or content[: len(before)].tobytes() != before:  # type: ignore[attr-defined]
            return None
        return np.frombuffer(content, self._dtype, count, len(before)).reshape(rows, self._size)

    def _reserve(self, size: int) -> NDArray[np.uint8]:
        """Return memory of at least so many bytes, which begins at a multiple of the alignment."""
        if len(self._memory) < size + ALIGNMENT:
            self._memory = np.empty(size + ALIGNMENT, np.uint8)
        return self._memory[-self._memory.ctypes.data % ALIGNMENT :]


@lru_cache(maxsize=64)
def _around(rows: int, size: int, numbers: str) -> tuple[bytes, int]:
    """Return the bytes of a column before the numbers of its lists, and the count of those after them."""
    element = ELEMENTS[numbers]
    before, after = write_start_of_numbers([size] * rows, element)
    return element.dictionary + before, after
