"""`python -m tests.golden.build [NAME …]`: build the checked models in each precision, and keep what that took and what it loses.

The figures go into build/models.json; `python -m tests.benchmarks.results build/models.json` commits them, and
`python -m tests.benchmarks.readme` makes the table of layers/model/README.md of them.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from layers.model.builder import SCORING_PASSAGES, Order, build
from layers.model.configuration import Unsupported
from layers.model.networks import EXACT
from layers.model.precision import PRECISIONS
from tests.benchmarks.machine import Machine, cores
from tests.benchmarks.results import MODELS_RUN, Section, read, renew, section_name
from tests.benchmarks.tables import Cell, Table, say
from tests.golden.models import CHECKED, CheckedModel

TITLE = "Checked models: what each precision loses"
COLUMNS = {
    "model": "s",
    "precision": "s",
    "MB": ".1f",
    "CPU s": ".0f",
    "s": ".0f",
    "passages": "d",
    "mean": ".6f",
    "minimum": ".6f",
    "top-10 agreement": ".3f",
}
NOTES = ["fidelity: passages against the model's own fp32 vectors; CPU s and s: of building, measuring included"]

type Row = Sequence[Cell]


def main() -> int:
    """Build the models that the arguments name, or all. Print one sentence and return 1 if a model is refused."""
    given = arguments()
    machine = Machine.this()
    name = section_name(machine.processor_class)
    for model in CHECKED:
        for precision in PRECISIONS if model.short in given.models else ():
            say(f"\n{model.name} as {precision}")
            try:
                row = _row(model, precision, given.passages)
            except Unsupported as refusal:
                say(f"Not built: {refusal}")
                return 1
            rows = _known(name) | {(model.short, precision): row}
            renew(MODELS_RUN, name, Section.of(machine, [_table(rows)], quick=False))
    say(f"\n{_table(_known(name)).on(name)}\n\nThe figures are in {MODELS_RUN}")
    return 0


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command's arguments, or these words: the models to build, and the number of passages to measure on."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.build", description="Build the checked models.")
    names = [model.short for model in CHECKED]
    parser.add_argument("models", nargs="*", choices=names, metavar="model", help=f"{', '.join(names)}; all if none")
    parser.add_argument("--passages", type=int, default=SCORING_PASSAGES, help="to measure on (default: %(default)s)")
    given = parser.parse_args(words)
    given.models = given.models or names  # not by `default`: Python 3.13.0 looks for a default, as a whole, among the choices
    return given


def _known(name: str) -> dict[tuple[str, str], Row]:
    """Return the rows of earlier runs on this class of processor."""
    sections = read(MODELS_RUN)
    rows = sections[name].tables.get(TITLE, []) if name in sections else []
    return {(row["model"], row["precision"]): [row[column] for column in COLUMNS] for row in rows}


def _table(rows: dict[tuple[str, str], Row]) -> Table:
    places = [(model.short, precision) for model in CHECKED for precision in PRECISIONS]
    return Table(TITLE, NOTES, COLUMNS, [rows[place] for place in places if place in rows])


def _row(model: CheckedModel, precision: str, passages: int) -> Row:
    """Build a model in a precision."""
    source, folder = model.source(say), model.folder(precision)
    started, cpu = time.perf_counter(), time.process_time()
    manifest = build(Order(source, folder, precision, None, cores(), passages), say)
    took = time.process_time() - cpu, time.perf_counter() - started
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    found = dict.fromkeys(FIDELITY, 1.0) if precision == EXACT else manifest.fidelity
    return model.short, precision, size, *took, passages, *(found[part] for part in FIDELITY)


FIDELITY = ("mean_cosine", "minimum_cosine", "top_10_agreement")
"""The fields of the manifest's fidelity that the table shows. An fp32 model is the reference."""


if __name__ == "__main__":
    sys.exit(main())
