"""Run benchmarks by name, print their tables and write their figures."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from handler.errors import Backend
from layers.model.configuration import Unsupported

from . import (
    cache,
    cold,
    corpus,
    encoder,
    families,
    family_speeds,
    growth,
    memory,
    one_token,
    operators,
    pipeline,
    plots,
    precisions,
    request,
    retrieval,
    search,
    sharing,
    small_vectors,
    static,
)
from .comparison import comparison
from .effort import FULL, QUICK, Effort
from .hold.copies import Unknown
from .hold.effect import hold_this_process
from .hold.setting import Hold
from .machine import Machine
from .results import RESULTS, NotMeasured, Section, renew, section_name
from .tables import Table, say

BENCHMARKS: dict[str, Callable[[Effort], Iterator[Table]]] = {
    "operators": operators.tables,
    "encoder": encoder.tables,
    "sharing": sharing.tables,
    "one_token": one_token.tables,
    "precisions": precisions.tables,
    "families": families.tables,
    "family_speeds": family_speeds.tables,
    "small": small_vectors.tables,
    "corpus": corpus.tables,
    "pipeline": pipeline.tables,
    "growth": growth.tables,
    "request": request.tables,
    "memory": memory.tables,
    "cache": cache.tables,
    "search": search.tables,
    "retrieval": retrieval.tables,
    "cold": cold.tables,
    "static": static.tables,
}
FREE = {"cold", "static"}
"""The benchmarks that start processes which ISA=avx2 does not hold back."""


def main() -> int:
    """Run the named benchmarks, or all of them. Return 1 and print one sentence if a model is missing."""
    arguments = _arguments()
    effort = QUICK if arguments.quick else FULL
    machine = Machine.this()
    benchmarks = arguments.benchmarks or list(BENCHMARKS)
    try:
        hold = Hold.of(os.environ.get("ISA", ""), machine.processor_class)
        if hold.held:
            benchmarks = holdable(arguments.benchmarks)
        hold_this_process(hold, ["-m", "tests.benchmarks", *sys.argv[1:]])
    except Unknown as reason:
        say(str(reason))
        return 1
    name = hold.name if hold.held else section_name(machine.processor_class)
    started = time.perf_counter()
    say(f"{machine}\n\nTimes are medians, ratios are medians of the ratios within each round.\n")
    measured: list[Table] = []
    try:
        # The functions' own log has a line for each request.
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            for benchmark in benchmarks:
                for table in BENCHMARKS[benchmark](effort):
                    say(f"{table.on(name)}\n")
                    measured.append(table)
    except (Backend, Unsupported) as reason:
        say(f"Not measured: {reason}\nBoth models: make build/model/manifest.json build/model-fp32/manifest.json")
        return 1
    section = Section.of(machine, measured, quick=arguments.quick)
    try:
        renew(arguments.out, name, section)
    except NotMeasured as reason:
        say(str(reason))
        return 1
    plots.write(arguments.plots, name, section.tables)
    say(f"{comparison(RESULTS, name, measured)}\n")
    say(f"{time.perf_counter() - started:.0f} s; the figures are in {arguments.out}")
    return 0


def holdable(benchmarks: Sequence[str]) -> list[str]:
    """Return the benchmarks to run while they are held back to AVX2.

    Raises:
        Unknown: one that is named cannot be held back.
    """
    if named := sorted(FREE & set(benchmarks)):
        msg = f"ISA=avx2 does not hold back {' and '.join(named)}: their processes have libraries of their own"
        raise Unknown(msg)
    return [name for name in benchmarks or BENCHMARKS if name not in FREE]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure, in interleaved rounds.")
    parser.add_argument(
        "benchmarks", nargs="*", choices=BENCHMARKS, metavar="benchmark", help=f"{', '.join(BENCHMARKS)}; all if none"
    )
    parser.add_argument("--quick", action="store_true", help="see that everything runs; its figures mean little")
    parser.add_argument("--out", type=Path, default=Path("build", "benchmarks.json"), help="the figures (default: %(default)s)")
    parser.add_argument("--plots", type=Path, default=Path("build", "plots"), help="the plots (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
