"""A file of lines of JSON that `make embed` wrote."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from events.search.files import Batch, refuse_content, refuse_sizes
from events.search.filters import Filter

FIELDS: Mapping[str, type] = {"id": str, "embedding": list, "metadata": dict}
"""The fields of a record that a search reads."""
BATCH = 1024
"""The lines of a batch: 1,024 vectors of 384 dimensions take 15 MB while they are objects of Python."""


class JsonlVectors:
    """The vectors and records of a file. A record's place is the byte at which its line begins."""

    properties: Mapping[str, str] = {}
    """A line of JSON has no place for them."""

    def __init__(self, path: Path) -> None:
        """Read the first line, which shows the type of the numbers.

        Raises:
            Refused: the file is not one that `make embed` wrote.
        """
        self._path = path
        with path.open("rb") as file:
            first = next(self._lines(file), None)
        vector = [] if first is None else self._parse(*first)["embedding"]
        self.size = len(vector)
        self.numbers = _type_of(vector)

    def read(self, most: int, condition: Filter | None) -> list[Iterator[Batch]]:
        """Return one iterator: parsing JSON keeps one core busy, and other threads would wait for it."""
        del most
        return [self._read(condition)]

    def record(self, place: int) -> tuple[str, Mapping[str, Any]]:
        """Read one record."""
        with self._path.open("rb") as file:
            file.seek(place)
            record = self._parse(place, file.readline())
        return record["id"], record["metadata"]

    def _lines(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        place = 0
        for line in file:
            if line.strip():
                yield place, line
            place += len(line)

    def _parse(self, place: int, line: bytes) -> dict[str, Any]:
        try:
            record = orjson.loads(line)
        except ValueError:
            record = None
        if not (isinstance(record, dict) and all(isinstance(record.get(name), kind) for name, kind in FIELDS.items())):
            raise refuse_content(self._path, f"the line at byte {place} is not an object with {', '.join(FIELDS)}")
        return record

    def _read(self, condition: Filter | None) -> Iterator[Batch]:
        with self._path.open("rb") as file:
            for lines in batched(self._lines(file), BATCH, strict=False):
                found = [(place, self._parse(place, line)) for place, line in lines]
                self._check_sizes(found)
                chosen = [(place, record) for place, record in found if condition is None or condition.accepts(record["metadata"])]
                if chosen:
                    numbers = self._to_numbers(chosen[0][0], [record["embedding"] for _, record in chosen])
                    yield Batch(numbers, np.array([place for place, _ in chosen]))

    def _check_sizes(self, records: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        for place, record in records:
            if len(record["embedding"]) != self.size:
                raise refuse_sizes(self._path, f"at byte {place}", len(record["embedding"]), self.size)

    def _to_numbers(self, place: int, vectors: Sequence[Sequence[float]]) -> np.ndarray[Any, Any]:
        try:
            return np.array(vectors, self.numbers)
        except (ValueError, TypeError, OverflowError) as error:
            reason = f"one of the {len(vectors)} lines from byte {place} on has a vector with other numbers than {self.numbers}"
            raise refuse_content(self._path, reason) from error


def _type_of(vector: Sequence[float]) -> str:
    """Return the type of numbers that a vector has: float32 has a point or an exponent in JSON, and int8 has negative numbers."""
    if not all(isinstance(number, int) for number in vector):
        return "float32"
    return "int8" if min(vector, default=0) < 0 else "uint8"
