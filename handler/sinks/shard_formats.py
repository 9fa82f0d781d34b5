"""Formats of shards (files of results), and the name that a shard gets from its records.

Law: results in, bytes out; knows nothing of where they are stored.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple

from handler.encoding import to_json
from handler.records import Result
from handler.sinks.channel import to_fields
from handler.sinks.parquet import Row, write_file

type Format = Callable[[Sequence[Result], str], bytes]
"""Writes results as a file. The second argument is numpy's name of the numbers of vectors, for a file without results."""


def to_jsonl(results: Sequence[Result], numbers: str = "float32") -> bytes:
    """Write each result as one line of JSON."""
    del numbers
    return b"".join(to_json(to_fields(result)) + b"\n" for result in results)


def to_parquet(results: Sequence[Result], numbers: str = "float32") -> bytes:
    """Write a Parquet file of one row group; its vectors are float32 if the records name types whose numbers differ.

    A file without results has the column of a file with `numbers`, so that one query can read all files of a prefix.
    """
    found = {result.vector.dtype.name for result in results} or {numbers}
    return write_file(to_rows(results), found.pop() if len(found) == 1 else "float32")


def to_rows(results: Sequence[Result]) -> list[Row]:
    """Return the results as rows of a Parquet file."""
    return [
        Row(
            # JSON may contain half of a surrogate pair, which UTF-8 cannot encode.
            result.record.id.encode("utf-8", "backslashreplace"),
            result.vector,
            result.tokens,
            result.truncated,
            to_json(result.record.metadata),
        )
        for result in results
    ]


FORMATS: Mapping[str, Format] = {"jsonl": to_jsonl, "parquet": to_parquet}


def name_shard(results: Sequence[Result]) -> str:
    """Return a name for a shard. The same records with the same options give the same name on every machine.

    It depends on the input, not on the vectors, because another kind of CPU may compute other last bits.
    """
    inputs = [[result.record.id, result.record.text, astuple(result.record.options), result.record.metadata] for result in results]
    return hashlib.sha256(to_json(inputs)).hexdigest()[:32]
