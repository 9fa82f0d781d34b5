"""List figures that became worse than the committed ones of the same class of processor.

Ratios alone are compared: both sides of a ratio met the same machine in the same minutes. Nothing fails by it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from . import results
from .tables import Table

TOLERANCE = 0.1
"""The tolerance of a ratio between two times: runs differ by as much."""
FIDELITY_TOLERANCE = 0.0005

MORE_IS_BETTER = dict.fromkeys(("speed / stock", "speed / fp32", "speed / 1 thread", "of its bound"), TOLERANCE) | dict.fromkeys(
    ("mean", "minimum"), FIDELITY_TOLERANCE
)
LESS_IS_BETTER = {"time / floor": TOLERANCE, "doubling": TOLERANCE}
"""The share by which a figure of each column may be worse before it is reported."""
UNJUDGED = {"Codec: 1 - cosine"}


def comparison(path: Path, processor_class: str, tables: Sequence[Table]) -> str:
    """Return the figures that are worse than those of this class in a file, one per line, or one sentence if there are none."""
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
