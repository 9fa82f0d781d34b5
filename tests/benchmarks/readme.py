"""The README's measured tables: `python -m tests.benchmarks.readme` writes them from the figures committed.

A table stands between two comments. The first names the table as the benchmark does, then its columns with their formats, and for a
column that is to be called otherwise, how: `<!-- measured: TITLE; COLUMN = NAME: FORMAT; … -->` up to `<!-- end -->`.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

README = Path("README.md")
RESULTS = (Path(__file__).parent / "results.json", Path(__file__).parent / "peers" / "results.json")
TABLE = re.compile(r"(?<=<!-- measured: )(?P<title>[^;]+); (?P<columns>.+?)( -->\n)(?P<rows>.*?)(?=<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text, with all its measured tables as they were measured last.

    Raises:
        KeyError: a table or a column was not measured.
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for path in RESULTS:
        tables |= json.loads(path.read_bytes())["tables"]

    def table(found: re.Match[str]) -> str:
        columns = [column.strip() for column in found["columns"].split(";")]
        return f"{found['title']}; {found['columns']} -->\n" + "\n".join(_lines(tables[found["title"]], columns)) + "\n"

    return TABLE.sub(table, text)


def _lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    split = [column.rpartition(": ")[::2] for column in columns]
    named = [(name.split(" = ")[0], name.split(" = ")[-1], kind) for name, kind in split]
    cells = [[f"{row[column]:{kind}}" for column, _, kind in named] for row in rows]
    return [f"| {' | '.join(line)} |" for line in ([name for _, name, _ in named], ["---"] * len(named), *cells)]


def main() -> int:
    """Write the README."""
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
