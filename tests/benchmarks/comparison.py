"""What became slower, or less faithful, since the figures that were committed last for the same class of processor.

Ratios alone are compared: both sides of a ratio met the same machine in the same minutes. Nothing fails by it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from . import results
from .tables import Table

TOLERANCE = 0.1
"""Of a ratio between two times: as much differs from one run to the next."""
FIDELITY_TOLERANCE = 0.0005

MORE_IS_BETTER = dict.fromkeys(("speed / stock", "speed / fp32", "speed / 1 thread", "of its bound"), TOLERANCE) | dict.fromkeys(
    ("mean", "minimum"), FIDELITY_TOLERANCE
)
LESS_IS_BETTER = {"time / floor": TOLERANCE, "doubling": TOLERANCE}
"""Columns, and the share that a figure may be worse by before it is told."""
UNJUDGED = {"Codec: 1 - cosine"}


def comparison(path: Path, processor_class: str, tables: Sequence[Table]) -> str:
    """The figures that are worse than those of this class in a file, one a line, or the sentence that none is."""
    sections = results.read(path)
    if processor_class not in sections:
        others = f" (it has {', '.join(sections)})" if sections else ""
        return f"{path.name} has no figures for {processor_class} to compare with{others}: python -m tests.benchmarks.results"
    kept = sections[processor_class].tables
    worse = [line for table in tables if table.title not in UNJUDGED for line in _worse(table, kept.get(table.title, []))]
    where = f"in {path.name} for {processor_class}"
    return "\n".join([f"Worse than {where}:", *worse]) if worse else f"No ratio is worse than {where}."


def _worse(table: Table, committed: results.Rows) -> Iterator[str]:
    key = next(iter(table.columns))
    before = {row[key]: row for row in committed}
    for row in table.figures():
        old = before.get(row[key], {})
        for column in row.keys() & old.keys() & (MORE_IS_BETTER.keys() | LESS_IS_BETTER.keys()):
            was, now = float(old[column]), float(row[column])
            if not was:  # what has no bound has no share of it
                continue
            lost = 1 - now / was if column in MORE_IS_BETTER else now / was - 1
            if lost > (MORE_IS_BETTER | LESS_IS_BETTER)[column]:
                yield f"  {table.title}, {key} {row[key]}: {column} {now:.4g}, was {was:.4g}"
