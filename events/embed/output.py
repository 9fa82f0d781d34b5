"""The formats of OUT, each written part by part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from handler.embedding.manifest import Manifest
from handler.records import Result
from handler.sinks.parquet import MAGIC, Chunk, RowGroup, write_footer, write_row_group
from handler.sinks.shard_formats import to_jsonl, to_rows

MODEL, FINGERPRINT, PRECISION, TYPE = (f"embeddings.{name}" for name in ("model", "fingerprint", "precision", "type"))
"""The names of the properties by which a file says whose vectors it has. `make search` refuses those of another model."""


def describe(manifest: Manifest, type_name: str) -> Mapping[str, str]:
    """Return the properties of a file of a model's vectors of one type."""
    return {MODEL: manifest.model_id, FINGERPRINT: manifest.fingerprint, PRECISION: manifest.precision, TYPE: type_name}


class Output(Protocol):
    """A format of OUT, written part by part, for vectors whose numbers have one type."""

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

    def __init__(self, numbers: str, properties: Mapping[str, str]) -> None:
        """Write numbers of any type, and no properties: lines of records have no place for them."""
        del numbers, properties

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

    def __init__(self, numbers: str, properties: Mapping[str, str]) -> None:
        """Write numbers of the type that numpy calls `numbers`; the file has the properties in its footer."""
        self._numbers = numbers
        self._properties = properties

    def begin(self) -> bytes:
        """Return the format's magic number."""
        return MAGIC

    def part(self, results: Sequence[Result], offset: int) -> tuple[bytes, Any]:
        """Return a row group, and its entry in the footer."""
        content, group = write_row_group(to_rows(results), offset, self._numbers)
        return content, asdict(group)

    def end(self, parts: Iterable[Any]) -> bytes:
        """Return the footer."""
        groups = [RowGroup(part["rows"], tuple(Chunk(**chunk) for chunk in part["chunks"])) for part in parts]
        return write_footer(groups, self._numbers, self._properties)


OUTPUTS: Mapping[str, Callable[[str, Mapping[str, str]], Output]] = {".jsonl": Jsonl, ".parquet": Parquet}
"""The formats, by the ending of OUT."""
