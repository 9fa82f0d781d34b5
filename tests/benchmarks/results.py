"""Files of figures, with a section for each class of processor: `python -m tests.benchmarks.results` keeps what was measured.

    build/benchmarks.json, build/cold.json, build/peers.json   what the last runs measured here
    build/models.json, build/large.json                        what `make models` and `make large` measured
    results.json, peers/results.json, models.json              what is committed: README.md, layers/model/README.md, `make cost`
                                                               and `make bench` read it

Each file maps a class (machine.py names them) to the machine of its last run, whether it was a quick run, its tables, and the
processor that each table was measured on: two processors of a class can renew different tables.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from .machine import AVX2, AVX512_VNNI, Machine
from .tables import Table, say

RESULTS = Path(__file__).with_name("results.json")
PEERS = Path(__file__).parent / "peers" / "results.json"
MODELS = Path(__file__).with_name("models.json")
MODELS_RUN, LARGE_RUN = Path("build", "models.json"), Path("build", "large.json")
KEPT = {
    Path("build", "benchmarks.json"): RESULTS,
    Path("build", "cold.json"): RESULTS,
    Path("build", "peers.json"): PEERS,
    MODELS_RUN: MODELS,
    LARGE_RUN: MODELS,
}
"""Where the figures of each file of a run are committed. Later files win: cold.json is of what Lambda gets, not of the sources."""
SHOWN = (AVX2, AVX512_VNNI)
"""The classes whose figures are shown, best first: AVX2 is what Lambda has on x86_64."""

type Rows = Sequence[Mapping[str, Any]]
"""The rows of a table by the names of its columns."""


class NotMeasured(Exception):  # noqa: N818 - a sentence for the person who asked
    """A figure is missing from the results."""


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one class of processor."""

    machine: Mapping[str, Any]
    quick: bool
    tables: Mapping[str, Rows]
    processors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, tables: Sequence[Table], *, quick: bool) -> Self:
        """Make a section of tables just measured."""
        figures = {table.title: table.figures() for table in tables}
        return cls(asdict(machine), quick, figures, dict.fromkeys(figures, machine.processor))

    def renewed(self, newer: "Section") -> "Section":
        """These figures with the newer in place of their own. A quick run's are never mixed with a full run's."""
        if self.quick != newer.quick:
            return newer
        return replace(newer, tables={**self.tables, **newer.tables}, processors={**self.processors, **newer.processors})


def section_name(processor_class: str) -> str:
    """Return the name that this run's figures are kept under: the class, and the kernels if the setting KERNELS chose them."""
    return f"{processor_class} with KERNELS={os.environ['KERNELS']}" if os.environ.get("KERNELS") else processor_class


def read(path: Path) -> dict[str, Section]:
    """Read a file's sections by class; none if there is no file.

    Raises:
        NotMeasured: the file is not one of figures by class.
    """
    if not path.exists():
        return {}
    try:
        return {name: Section(**section) for name, section in json.loads(path.read_bytes()).items()}
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"{path} does not hold figures by class of processor ({error}): delete it and measure again"
        raise NotMeasured(msg) from error


def renew(path: Path, name: str, section: Section) -> None:
    """Write a section into a file; the other sections, and tables of this one that are not in the new, stay."""
    sections = read(path)
    sections[name] = sections[name].renewed(section) if name in sections else section
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: asdict(section) for name, section in sections.items()}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def chosen(sections: Mapping[str, Section], title: str, classes: Sequence[str] = SHOWN) -> tuple[str, Rows]:
    """Return the first of the classes that has the table, and its rows.

    Raises:
        NotMeasured: none of them has it.
    """
    for name in classes:
        if name in sections and title in sections[name].tables:
            return name, sections[name].tables[title]
    msg = f'"{title}" was not measured on {" or ".join(classes)}: `make bench` measures it'
    raise NotMeasured(msg)


def keep(source: Path, committed: Path) -> list[str]:
    """Take the full runs in `source` into `committed`; return the names of their classes.

    Raises:
        NotMeasured: `source` holds figures of a quick run, which mean little.
    """
    sections = read(source)
    for name, section in sections.items():
        if section.quick:
            msg = f"{source} holds a quick run's figures for {name}: measure without --quick"
            raise NotMeasured(msg)
    for name, section in sections.items():
        renew(committed, name, section)
    return list(sections)


def main() -> int:
    """Keep the figures of the files named, or of all there are; 1 with one sentence if they cannot be kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.results", description="Keep the figures measured here.")
    names = ", ".join(map(str, KEPT))
    parser.add_argument("files", nargs="*", type=Path, help=f"of {names} (default: those that there are)")
    wanted = parser.parse_args().files or [path for path in KEPT if path.exists()]
    if not wanted or not set(wanted) <= KEPT.keys():
        say(f"Nothing to keep: the files that can be kept are {names}")
        return 1
    try:
        for source in wanted:
            say(f"{source} -> {KEPT[source]}: {', '.join(keep(source, KEPT[source])) or 'nothing'}")
    except NotMeasured as reason:
        say(str(reason))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
