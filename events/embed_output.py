"""The files that vectors of a corpus are written to, a part after the other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from handler.records import Result
from handler.sinks.parquet import MAGIC, Chunk, RowGroup, write_footer, write_row_group
from handler.sinks.shard_formats import to_jsonl, to_rows


class Output(Protocol):
    """A format of OUT, written part by part."""

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

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, None]:
        """Lines."""
        del offset
        return to_jsonl(results), None

    def end(self, parts: Iterable[Any]) -> bytes:
        """Nothing."""
        del parts
        return b""


class Parquet:
    """Row groups, told of in a footer."""

    def begin(self) -> bytes:
        """The format's mark."""
        return MAGIC

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, Any]:
        """A row group."""
        content, group = write_row_group(to_rows(results), offset)
        return content, asdict(group)

    def end(self, parts: Iterable[Any]) -> bytes:
        """The footer."""
        return write_footer([RowGroup(part["rows"], tuple(Chunk(**chunk) for chunk in part["chunks"])) for part in parts])


OUTPUTS: Mapping[str, Callable[[], Output]] = {".jsonl": Jsonl, ".parquet": Parquet}
