"""Measure `make search` in files of many vectors: the time beyond the start of the process, and its memory."""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from events.embed.job import PART_RECORDS
from events.embed.output import describe
from events.search.filters import Filter
from events.search.search import Search
from handler.bootstrap import load_service
from handler.embedding.manifest import Manifest
from handler.finishing import finish
from handler.service import Options
from handler.sinks.parquet import MAGIC, Row, write_footer, write_row_group
from handler.vector_types import TYPES, ModelTypes

from .effort import Effort
from .models import INT8
from .tables import Table

FOLDER = Path("build", "benchmarks", "search")
SEARCHED = ("float32", "int8", "binary")
"""uint8 and ubinary are the same vectors in unsigned bytes."""
SEED = 20261130
FOUND = 10
LANGUAGES = 10
"""A filter leaves this part of the vectors: one in ten."""


def tables(effort: Effort) -> Iterator[Table]:
    """Make one row for each type. Every search is the first one of a new process."""
    files = {name: _file(name, effort.searched) for name in SEARCHED}
    dimension = Manifest.read(INT8).dimension
    rounds = [{name: _searched(path) for name, path in files.items()} for _ in range(effort.searches)]
    rows: list[tuple[str | float, ...]] = [
        (
            name,
            path.stat().st_size / 1e6,
            *(median(each[name][figure] for each in rounds) for figure in ("whole", "filtered", "start")),
            max(each[name]["peak"] for each in rounds),
        )
        for name, path in files.items()
    ]
    yield Table(
        "Search: seconds in a file of vectors",
        [
            f"{effort.searched:,} random vectors of {dimension} dimensions in Parquet, whose pages the system has cached; the",
            f"{FOUND} best; seconds from the loaded model to the results, of the first search of a process: among all, then",
            f"with a filter that one of {LANGUAGES} fulfils; start: importing and loading; peak: of the process, with the model",
        ],
        {"type": "s", "MB": ".0f", "s": ".2f", "filtered s": ".2f", "start s": ".2f", "peak MB": ".0f"},
        rows,
    )


def _file(name: str, count: int) -> Path:
    """Return a file with so many vectors of a type, written in parts as `make embed` writes them."""
    path = FOLDER / f"{name}-{count}.parquet"
    if path.exists():
        return path
    FOLDER.mkdir(parents=True, exist_ok=True)
    manifest, kind = Manifest.read(INT8), TYPES[name]
    types, numbers = ModelTypes(manifest.dimension, manifest.ranges), kind.number.__name__
    generator = np.random.default_rng(SEED)
    partial, written, groups = path.with_suffix(".partial"), len(MAGIC), []
    with partial.open("wb") as file:
        file.write(MAGIC)
        for places in itertools.batched(range(count), PART_RECORDS, strict=False):
            floats = generator.standard_normal((len(places), manifest.dimension), np.float32)
            vectors = types.make(finish(floats, Options(), normalize=True), name)
            content, group = write_row_group(_rows(places, vectors), written, numbers)
            file.write(content)
            written += len(content)
            groups.append(group)
        file.write(write_footer(groups, numbers, describe(manifest, name)))
    partial.rename(path)
    return path


def _rows(places: Sequence[int], vectors: np.ndarray) -> list[Row]:
    return [
        Row(b"%d" % place, vector, 1, truncated=False, metadata=b'{"lang":"l%d","document":"d%d"}' % (place % LANGUAGES, place))
        for place, vector in zip(places, vectors, strict=True)
    ]


def _searched(path: Path) -> dict[str, float]:
    """Search in a new process."""
    _read(path)
    command = [sys.executable, "-m", "tests.benchmarks.search", str(path)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env={**os.environ, "MODEL_DIR": str(INT8)}
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _read(path: Path) -> None:
    """Let the system cache the file's pages."""
    with path.open("rb", buffering=0) as file:
        memory = bytearray(1 << 20)
        while file.readinto(memory):
            pass


def main() -> None:
    """Search the file that the command line names, once without and once with a filter, and print the figures."""
    service = load_service(os.environ)
    service.embed(["The first text."], Options(use_cache=False))
    start = time.clock_gettime(time.CLOCK_BOOTTIME) - _started()
    seconds = []
    for condition in (None, Filter("lang", "l7")):
        began = time.perf_counter()
        found = Search(Path(sys.argv[1]), service).find("Where is the station?", FOUND, condition)
        seconds.append(time.perf_counter() - began)
        assert len(found) == FOUND
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(json.dumps({"whole": seconds[0], "filtered": seconds[1], "start": start, "peak": int(peak[1]) / 1024}))  # noqa: T201


def _started() -> float:
    """Return when this process was started, in seconds since the machine was (proc(5), field 22 of stat)."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
