"""A process that loads a model as a function does, embeds texts of some lengths, and tells what that took as one line of JSON.

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
"""Of the tokens of each text: its first and its last."""


def main() -> None:
    """Measure the model of the environment."""
    before, cpu, started = peak_bytes(), time.process_time(), time.perf_counter()
    service = load_service(os.environ)
    told = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu, "bytes_before": before}
    if not isinstance(service, EmbeddingService):
        sys.exit("the model was not loaded: the line above says why")
    told |= {"bytes_loaded": peak_bytes()}
    for length in LENGTHS:
        told[f"milliseconds_{length}"] = sorted(milliseconds(service, length) for _ in range(ROUNDS))[ROUNDS // 2]
    print(json.dumps(told | {"bytes": peak_bytes()}))  # noqa: T201 - what it is for


def milliseconds(service: EmbeddingService, length: int) -> float:
    """How long one text of so many tokens takes, in CPU time: on one thread that is all it takes where nobody else computes."""
    text = "weather " * (length - SPECIAL)
    started = time.process_time()
    embedded = service.embed([text], Options(use_cache=False))
    taken = time.process_time() - started
    assert embedded.tokens == length
    return taken * 1000


def peak_bytes() -> int:
    """The most memory this process has held, mapped files included; of getrusage's, its parent's is a part."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
