"""Run the commands of events/ as make does, and read the file that `make embed` writes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.conftest import INT8, ROOT

SECONDS = 120


def run(module: str, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE`."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "MODEL_DIR": str(INT8), **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def embed(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `make embed`'s command."""
    return run("events.embed", *arguments, **settings)


def search(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `make search`'s command."""
    return run("events.search", *arguments, **settings)


def rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of OUT."""
    if path.suffix == ".parquet":
        read: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return [{**row, "metadata": json.loads(row["metadata"])} for row in read]
    return [json.loads(line) for line in path.read_bytes().splitlines()]
