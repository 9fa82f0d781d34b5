"""Measure passages of mixed lengths in our service, next to stock int8 in padded batches."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from handler.bootstrap import load_service
from handler.embedding.manifest import Manifest
from handler.service import Options
from layers.model.corpus import passages

from .effort import Effort
from .machine import cores
from .models import INT8, stock_int8
from .padded import PaddedService
from .rounds import interleaved, once
from .tables import Table

CALL = 512
BATCH = 32
WARM_UP = 32

type Embed = Callable[[Sequence[str]], object]


def tables(effort: Effort) -> Iterator[Table]:
    """Measure texts per second. Every turn embeds the whole corpus."""
    threads = cores()
    # The service encodes a text that comes twice once, which is not what is compared here.
    texts = list(dict.fromkeys(passages("scoring", effort.passages)))
    every, one, stock = f"ours, {threads} threads", "ours, 1 thread", f"stock int8, {threads} threads"
    padded = PaddedService(stock_int8(threads), INT8, Manifest.read(INT8).max_length, BATCH)
    contenders: dict[str, Embed] = {every: _ours(threads), one: _ours(1), stock: padded.embed}
    for embed in contenders.values():
        embed(texts[:WARM_UP])
    timings = interleaved({name: once(partial(embed, texts)) for name, embed in contenders.items()}, effort.corpus)
    yield Table(
        "Mixed corpus: texts a second",
        [
            f"the {len(texts)} distinct of {effort.passages} passages, texts in and vectors out, tokenising included (on all",
            f"cores, even with 1 thread); ours: calls of at most {CALL} texts; stock: padded batches of {BATCH} in the order given",
        ],
        {"service": "s", "texts/s": ".1f", "speed / stock": ".2f", "speed / 1 thread": ".2f"},
        [(name, len(texts) / timings.median(name), timings.ratio(stock, name), timings.ratio(one, name)) for name in contenders],
    )


def _ours(threads: int) -> Embed:
    """Return the service as a function has it."""
    service = load_service({"MODEL_DIR": str(INT8), "THREADS": str(threads), "MAX_CLIENT_BATCH_SIZE": str(CALL)})

    def embed(texts: Sequence[str]) -> None:
        for start in range(0, len(texts), CALL):
            service.embed(texts[start : start + CALL], Options(use_cache=False))

    return embed
