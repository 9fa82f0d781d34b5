"""Tables, for a terminal and for a file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .machine import Machine

type Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """What was measured: columns by name, each with the format of its cells, and how to read it."""

    title: str
    notes: Sequence[str]
    columns: dict[str, str]
    rows: Sequence[Sequence[Cell]]

    def __str__(self) -> str:
        """Columns aligned, text to the left and numbers to the right."""
        shown = [list(self.columns), *([f"{cell:{kind}}" for cell, kind in self._cells(row)] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        left = [isinstance(cell, str) for cell in self.rows[0]]
        lines = [
            "  ".join(
                f"{cell:{'<' if text else '>'}{width}}" for cell, width, text in zip(line, widths, left, strict=True)
            ).rstrip()
            for line in shown
        ]
        return "\n".join([self.title, *(f"  {note}" for note in self.notes), "", *(f"  {line}" for line in lines)])

    def _cells(self, row: Sequence[Cell]) -> list[tuple[Cell, str]]:
        return list(zip(row, self.columns.values(), strict=True))

    def figures(self) -> list[dict[str, Cell]]:
        """The rows by the columns' names, unrounded."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def write_figures(path: Path, machine: Machine, tables: Sequence[Table], *, quick: bool) -> None:
    """Write the tables' figures to a JSON file; other tables that are in it stay."""
    before = json.loads(path.read_bytes())["tables"] if path.exists() else {}
    figures = {"machine": asdict(machine), "quick": quick, "tables": before | {table.title: table.figures() for table in tables}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def say(text: str) -> None:
    """Print for a person who is waiting."""
    print(text, flush=True)  # noqa: T201 - a command talks to a terminal
