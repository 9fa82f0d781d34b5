"""The job of `make embed` with a fast service: `python -m tests.events.fast_embedding IN OUT [CALLS]`.

After so many calls the service is slow, so that the job cannot end before a test interrupts it.
"""

import hashlib
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from events.embed.__main__ import INTERRUPTED
from events.embed.job import Job
from handler.config import Settings
from handler.embedding.manifest import Manifest
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors

INT8 = Path(__file__).resolve().parents[2] / "build/model"
CALL_SECONDS, SLOW_CALL_SECONDS = 0.01, 0.5
PART_RECORDS = 64


class FastService:
    """A service whose vectors are four bytes of each text's digest."""

    manifest = Manifest.read(INT8)
    settings = Settings.from_environment({})

    def __init__(self, fast_calls: float) -> None:
        """Make a service that is fast for so many calls."""
        self._fast_calls = fast_calls

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Return vectors made of digests."""
        del options, deadline
        self._fast_calls -= 1
        time.sleep(SLOW_CALL_SECONDS if self._fast_calls < 0 else CALL_SECONDS)
        vectors = np.array([list(hashlib.sha256(text.encode()).digest()[:4]) for text in texts], np.float32)
        tokens = [len(text.split()) for text in texts]
        return Embeddings(vectors, tokens, [False] * len(texts), sum(map(len, texts)), 256, 0, 0)


def main() -> None:
    """Begin or resume the job."""
    source, out, *calls = sys.argv[1:]
    service = FastService(int(calls[0]) if calls else math.inf)
    job = Job(Path(source), Path(out), "inputs", cast("Service", service), PART_RECORDS)
    sys.exit(0 if job.run() else INTERRUPTED)


if __name__ == "__main__":
    main()
