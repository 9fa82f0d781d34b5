"""Draw tables as SVG with two logarithmic axes, on which every linear function is a straight line of the same slope."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .results import Rows


@dataclass(frozen=True, slots=True)
class Plot:
    """Columns of the table `title` over its first column; `linear` draws what the first line would be if it were linear."""

    title: str
    lines: Sequence[str]
    unit: str
    linear: bool = True


PLOTS: Mapping[str, Plot] = {
    "length": Plot("Growth by length: milliseconds a text", ("ms",), "ms a text"),
    "batch": Plot("Growth by batch: milliseconds a batch", ("ms",), "ms a batch"),
    "threads": Plot("Growth by threads: texts a second", ("texts/s",), "texts/s"),
    "model": Plot("Growth by model: milliseconds a layer", ("ms a layer",), "ms a layer"),
    "operators": Plot(
        "Linear: GMAC/s by rows", ("bound", "384x1152", "384x384", "384x1536 gelu", "1536x384"), "GMAC/s", linear=False
    ),
    "small": Plot(
        "Small vectors: recall by dimensions",
        ("float32", "int8", "int8 rescored", "binary", "binary rescored"),
        "recall of float32's top 10",
        linear=False,
    ),
    "stock": Plot("Encoder, 1 thread: milliseconds a text", ("ours int8", "stock int8", "ours fp32"), "ms a text", linear=False),
}
"""The plots by the names of their files."""

ACROSS = {"model": "million weights a layer"}
"""The column to the right, where it is not the first."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 260, 56, 84, 16, 40
COLOURS = ("#1f6feb", "#8b949e", "#d29922", "#2da44e", "#8250df")
LABEL_HEIGHT = 12
GUIDE = "#b0b8c0"


def write(folder: Path, processor_class: str, tables: Mapping[str, Rows]) -> None:
    """Write the plots of those tables that were measured, each with the class of processor they were measured on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in PLOTS.items():
        if plot.title in tables:
            (folder / f"{name}.svg").write_text(svg(name, processor_class, tables[plot.title]), encoding="utf-8")


def svg(name: str, processor_class: str, rows: Rows) -> str:
    """Draw the plot of a name from the rows of its table."""
    plot = PLOTS[name]
    across = ACROSS.get(name, next(iter(rows[0])))
    xs = [float(row[across]) for row in rows]
    lines = {column: [float(row[column]) for row in rows] for column in plot.lines}
    guide = [lines[plot.lines[0]][0] * x / xs[0] for x in xs] if plot.linear else []
    ys = [y for values in (*lines.values(), guide) for y in values]
    right, down = _Axis.over(xs, LEFT, WIDTH - RIGHT), _Axis.over(ys, HEIGHT - BOTTOM, TOP)
    parts = [*_frame(right, down, xs, across, plot.unit)]
    parts.append(f'<text x="{WIDTH - 6}" y="{HEIGHT - 8}" text-anchor="end" fill="{GUIDE}">{processor_class}</text>')
    drawn = [(GUIDE, "linear", guide)] if guide else []
    drawn += [(colour, column, values) for colour, (column, values) in zip(COLOURS, lines.items(), strict=False)]
    heights = _apart([down.at(values[-1]) for _, _, values in drawn])
    for (colour, label, values), height in zip(drawn, heights, strict=True):
        points = [(right.at(x), down.at(y)) for x, y in zip(xs, values, strict=True)]
        parts += _line(points, colour, label, height)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">'
    return "\n".join([opening, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *parts, "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic axis that maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> "_Axis":
        low, high = min(values), max(values)
        return cls(low / 1.15, high * 1.15, start, end)

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Iterator[float]:
        """1, 2, 5, 10, … or powers of ten alone where there would be too many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 3 else (1,)
        return (step * 10.0**decade for decade in decades for step in steps if self.low <= step * 10.0**decade <= self.high)


def _frame(right: _Axis, down: _Axis, xs: Sequence[float], across: str, unit: str) -> Iterator[str]:
    for x in xs:
        yield f'<text x="{right.at(x)}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{x:g}</text>'
    for y in down.ticks():
        yield f'<path d="M{LEFT} {down.at(y)}H{WIDTH - RIGHT}" stroke="#eaeef2"/>'
        yield f'<text x="{LEFT - 5}" y="{down.at(y) + 4}" text-anchor="end">{y:g}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>'
    yield f'<text transform="translate(12 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{unit}</text>'


def _apart(heights: Sequence[float]) -> list[float]:
    """Move labels down that would cover the one above."""
    moved = list(heights)
    for above, below in pairwise(sorted(range(len(moved)), key=moved.__getitem__)):
        moved[below] = max(moved[below], round(moved[above] + LABEL_HEIGHT, 1))
    return moved


def _line(points: Sequence[tuple[float, float]], colour: str, label: str, height: float) -> Iterator[str]:
    dashes = ' stroke-dasharray="4 4"' if colour == GUIDE else ""
    drawn = " ".join(f"{x},{y}" for x, y in points)
    yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
    yield f'<text x="{points[-1][0] + 5:g}" y="{height + 4:g}" fill="{colour}">{label}</text>'
