"""Build a large model as int8, and print the time and the memory that it needed as one line of JSON: `… NAME FOLDER OUT`."""

import json
import sys
import time
from pathlib import Path

from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.large.measure import peak_bytes
from tests.large.model import MODELS


def _say(text: str) -> None:
    print(f"{peak_bytes() / 1e9:5.2f} GB  {text}", file=sys.stderr, flush=True)  # noqa: T201 - standard output is the figures


def main() -> None:
    """Build the model in one folder into another folder."""
    model, source, out = MODELS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    started, cpu = time.perf_counter(), time.process_time()
    # Random weights are not trained to survive rounding: their loss is no figure of the real model.
    build(Order(Source(source, model.name, "random"), out, "int8", (0, 0), 2, model.passages), _say)
    took = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu, "bytes": peak_bytes()}
    print(json.dumps(took))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
