"""The bytes of a shard, in either format, and what it is named by.

Law: results in, bytes out; knows nothing of where they go.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple

from handler.encoding import to_json
from handler.records import Result
from handler.sinks.channel import fields_of
from handler.sinks.parquet import Row, whole_file

type Format = Callable[[Sequence[Result]], bytes]


def jsonl(results: Sequence[Result]) -> bytes:
    """A JSON object a line."""
    return b"".join(to_json(fields_of(result)) + b"\n" for result in results)


def parquet(results: Sequence[Result]) -> bytes:
    """A Parquet file of one row group. If the records name types whose numbers differ, all of them are written as float32."""
    numbers = {result.vector.dtype.name for result in results}
    return whole_file(rows_of(results), numbers.pop() if len(numbers) == 1 else "float32")


def rows_of(results: Sequence[Result]) -> list[Row]:
    """The rows of a Parquet file."""
    return [
        Row(
            # Half of a surrogate pair has no UTF-8, and JSON may bring one.
            result.record.id.encode("utf-8", "backslashreplace"),
            result.vector,
            result.tokens,
            result.truncated,
            to_json(result.record.metadata),
        )
        for result in results
    ]


FORMATS: Mapping[str, Format] = {"jsonl": jsonl, "parquet": parquet}


def name_of(results: Sequence[Result]) -> str:
    """A name that the same records, embedded in the same way, have again, on whatever machine.

    Of what came in, not of the vectors: another kind of CPU computes other last bits.
    """
    asked = [[result.record.id, result.record.text, astuple(result.record.options), result.record.metadata] for result in results]
    return hashlib.sha256(to_json(asked)).hexdigest()[:32]
