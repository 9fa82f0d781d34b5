"""Print tables of figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

type Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures: columns by name, each with the format of its cells, and notes on how to read it."""

    title: str
    notes: Sequence[str]
    columns: dict[str, str]
    rows: Sequence[Sequence[Cell]]

    def on(self, processor_class: str) -> "Table":
        """Return the same table, with the class of processor among its notes."""
        return replace(self, notes=[f"on {processor_class}", *self.notes])

    def __str__(self) -> str:
        """Return the table as text, with aligned columns."""
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
        """Return the rows by the names of columns, not rounded."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def say(text: str) -> None:
    """Print a table at once."""
    print(text, flush=True)  # noqa: T201 - a command talks to a terminal
