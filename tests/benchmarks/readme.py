"""Write the measured tables of the documents and the plots from the committed figures: `python -m tests.benchmarks.readme`.

A table stands between two comments. The first names the classes of processors to show, best first, the table as the benchmark names
it, and its columns with their formats and, for a column that is to be called otherwise, how:
`<!-- measured on CLASS or CLASS: TITLE; COLUMN = NAME: FORMAT; … -->` up to `<!-- end -->`.
The class whose figures they are stands below the table. What `make cost` makes of the figures, and what `make coverage` decides, is
marked `<!-- computed: TITLE; … -->`.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.documents import DOCUMENTS
from tests.layers.model import coverage

from . import cost_tables, plots, results

PLOTS = Path(__file__).parent / "plots"
TABLE = re.compile(
    r"<!-- (?:measured on (?P<classes>[^:]+)|computed): (?P<title>[^;]+); (?P<columns>.+?) -->\n(?P<rows>.*?)<!-- end -->",
    re.DOTALL,
)


def filled(text: str) -> str:
    """Return a page's text with all its tables as they were measured last, and the builder's coverage as it is.

    Raises:
        KeyError: a column was not measured, or a table is not among those computed.
        NotMeasured: none of the classes of a table has it.
    """
    files = [results.read(path) for path in (results.RESULTS, results.PEERS, results.MODELS)]
    computed = {table.title: table for table in (*cost_tables.committed(), *coverage.tables())}

    def table(found: re.Match[str]) -> str:
        opening, title = found[0].partition("\n")[0], found["title"]
        columns = [column.strip() for column in found["columns"].split(";")]
        if found["classes"]:
            sections = next((file for file in files if any(title in section.tables for section in file.values())), files[0])
            name, rows = results.chosen(sections, title, found["classes"].split(" or "))
            note = f"Measured on {name}."
        else:
            rows, note = computed[title].figures(), " ".join(computed[title].notes)
            note = f"{note[0].upper()}{note[1:]}."
        return "\n".join([opening, *_lines(rows, columns), "", note, "<!-- end -->"])

    return coverage.SENTENCE.sub(coverage.sentence(), TABLE.sub(table, text))


def drawn() -> dict[str, str]:
    """The plots by the names of their files, each of the best class that its table was measured on."""
    sections = results.read(results.RESULTS)
    found: dict[str, str] = {}
    for name, plot in plots.PLOTS.items():
        if any(plot.title in sections[known].tables for known in results.SHOWN if known in sections):
            found[f"{name}.svg"] = plots.svg(name, *results.chosen(sections, plot.title))
    return found


def _lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    split = [column.rpartition(": ")[::2] for column in columns]
    named = [(name.split(" = ")[0], name.split(" = ")[-1], kind) for name, kind in split]
    cells = [[f"{row[column]:{kind}}" for column, _, kind in named] for row in rows]
    return [f"| {' | '.join(line)} |" for line in ([name for _, name, _ in named], ["---"] * len(named), *cells)]


def main() -> int:
    """Write the documents and the plots."""
    for document in DOCUMENTS:
        (ROOT / document.path).write_text(filled(document.text), encoding="utf-8")
    for name, drawing in drawn().items():
        (PLOTS / name).write_text(drawing, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
