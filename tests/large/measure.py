"""Load a model as a function does, embed texts of some lengths, and print the figures as one line of JSON.

Law: imports little, for its own memory is in its figures.
"""

import json
import os
import sys
import time
from pathlib import Path

from handler.bootstrap import load_service
from handler.embedding_service import EmbeddingService
from handler.service import Options

LENGTHS = (32, 128, 512)
ROUNDS = 9
SPECIAL = 2
"""The number of special tokens of each text: the first and the last one."""


def main() -> None:
    """Measure the model that the environment names."""
    before, cpu, started = peak_bytes(), time.process_time(), time.perf_counter()
    service = load_service(os.environ)
    figures = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu, "bytes_before": before}
    if not isinstance(service, EmbeddingService):
        sys.exit("the model was not loaded: the line above says why")
    figures |= {"bytes_loaded": peak_bytes()}
    for length in LENGTHS:
        figures[f"milliseconds_{length}"] = sorted(milliseconds(service, length) for _ in range(ROUNDS))[ROUNDS // 2]
    print(json.dumps(figures | {"bytes": peak_bytes()}))  # noqa: T201 - what it is for


def milliseconds(service: EmbeddingService, length: int) -> float:
    """Return the CPU time of one text with this number of tokens. On one thread of an idle machine it equals the elapsed time."""
    text = "the " * (length - SPECIAL)
    started = time.process_time()
    embedded = service.embed([text], Options(use_cache=False))
    taken = time.process_time() - started
    assert embedded.tokens == length
    return taken * 1000


def peak_bytes() -> int:
    """Return the peak memory of this process, with mapped files. The value of getrusage would include the parent's memory."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
