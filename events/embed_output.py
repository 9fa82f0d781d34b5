"""The files that vectors of a corpus are written to, a part after the other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from handler.records import Result
from handler.sinks.parquet import MAGIC, Chunk, RowGroup, footer, row_group
from handler.sinks.shards import jsonl, rows_of


class Output(Protocol):
    """A format of OUT, written part by part; it is made for vectors of one type of numbers."""

    def begin(self) -> bytes:
        """What a file begins with."""
        ...

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, Any]:
        """The bytes of a part that stands at `offset`, and what `end` is to know of it, as JSON."""
        ...

    def end(self, parts: Iterable[Any]) -> bytes:
        """What a file of these parts ends with."""
        ...


class Jsonl:
    """Lines, and nothing around them."""

    def __init__(self, numbers: str) -> None:
        """Write any numbers."""
        del numbers

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, None]:
        """Lines."""
        del offset
        return jsonl(results), None

    def end(self, parts: Iterable[Any]) -> bytes:
        """Nothing."""
        del parts
        return b""


class Parquet:
    """Row groups, told of in a footer."""

    def __init__(self, numbers: str) -> None:
        """Write the numbers that numpy calls so."""
        self._numbers = numbers

    def begin(self) -> bytes:
        """The format's mark."""
        return MAGIC

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, Any]:
        """A row group."""
        content, group = row_group(rows_of(results), offset, self._numbers)
        return content, asdict(group)

    def end(self, parts: Iterable[Any]) -> bytes:
        """The footer."""
        return footer([RowGroup(part["rows"], tuple(Chunk(**chunk) for chunk in part["chunks"])) for part in parts], self._numbers)


OUTPUTS: Mapping[str, Callable[[str], Output]] = {".jsonl": Jsonl, ".parquet": Parquet}
