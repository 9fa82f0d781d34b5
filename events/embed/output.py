"""The formats of OUT, each written part by part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from handler.records import Result
from handler.sinks.parquet import MAGIC, Chunk, RowGroup, write_footer, write_row_group
from handler.sinks.shard_formats import to_jsonl, to_rows


class Output(Protocol):
    """A format of OUT."""

    def begin(self) -> bytes:
        """Return the first bytes of a file."""
        ...

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, Any]:
        """Return the bytes of a part that begins at `offset`, and the entry for it that `end` gets, a value of JSON."""
        ...

    def end(self, parts: Iterable[Any]) -> bytes:
        """Return the last bytes of a file that has these parts."""
        ...


class Jsonl:
    """Lines of JSON, with nothing before or after them."""

    def begin(self) -> bytes:
        """Return no bytes: the first line follows."""
        return b""

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, None]:
        """Return a line for each result."""
        del offset
        return to_jsonl(results), None

    def end(self, parts: Iterable[Any]) -> bytes:
        """Return no bytes: the last line is the end."""
        del parts
        return b""


class Parquet:
    """Row groups of Parquet, which the footer lists."""

    def begin(self) -> bytes:
        """Return the format's magic number."""
        return MAGIC

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, Any]:
        """Return a row group, and its entry in the footer."""
        content, group = write_row_group(to_rows(results), offset)
        return content, asdict(group)

    def end(self, parts: Iterable[Any]) -> bytes:
        """Return the footer."""
        return write_footer([RowGroup(part["rows"], tuple(Chunk(**chunk) for chunk in part["chunks"])) for part in parts])


OUTPUTS: Mapping[str, Callable[[], Output]] = {".jsonl": Jsonl, ".parquet": Parquet}
"""The formats, by the ending of OUT."""
