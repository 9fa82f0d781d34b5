"""Measure a pipeline's own cost: reading records, embedding them in batches and writing them, next to the encoder alone."""

import json
from collections.abc import Iterator, Sequence

from handler.bootstrap import load_service
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.pipeline.ports import ObjectStore
from handler.pipeline_settings import PipelineSettings
from handler.records import Failure, Result
from layers.model.corpus import passages

from .effort import Effort
from .machine import cores
from .models import INT8, ours, tokenization
from .rounds import interleaved, once
from .tables import Table

WARM_UP = 32


class Counting:
    """A sink that counts results."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Count the results and write nothing."""
        self.count += len(results)
        return []


def tables(effort: Effort) -> Iterator[Table]:
    """Measure texts per second. Every turn embeds the whole corpus."""
    texts = list(dict.fromkeys(passages("scoring", effort.passages)))
    threads = cores()
    encoder = ours(INT8, threads)
    sequences = [tokens.ids for tokens in tokenization().tokenize(texts, "right")]
    sink = Counting()
    service = load_service({"MODEL_DIR": str(INT8), "THREADS": str(threads), "CACHE_MEMORY_MB": "0"})
    objects = ObjectStore(lambda _: iter(()), lambda *_: False, lambda _: False)
    parts = Setup(PipelineSettings.from_environment({}), sink, None, objects, lambda _: sink)
    answer, event = make_handler(service, parts), _event(texts)
    contenders = {"encoder": lambda: encoder.encode(sequences), "pipeline": lambda: answer(event, None)}
    encoder.encode(sequences[:WARM_UP])
    answer(_event(texts[:WARM_UP]), None)
    written = sink.count
    timings = interleaved({name: once(call) for name, call in contenders.items()}, effort.corpus)
    if sink.count - written != len(texts) * len(timings.seconds["pipeline"]):
        msg = "the sink did not get every text"
        raise ValueError(msg)
    yield Table(
        "Pipeline: texts a second",
        [
            f"{len(texts)} mixed passages; encoder: token ids in, vectors out, {threads} threads; pipeline: one event of as",
            "many SQS messages, from its JSON to a sink that only counts, tokenising included",
        ],
        {"way": "s", "texts/s": ".1f", "speed / encoder": ".3f"},
        [(name, len(texts) / timings.median(name), timings.ratio("encoder", name)) for name in contenders],
    )


def _event(texts: Sequence[str]) -> dict[str, object]:
    arn = "arn:aws:sqs:us-east-1:123456789012:documents"
    return {
        "Records": [
            {"messageId": str(number), "body": json.dumps({"inputs": text}), "eventSource": "aws:sqs", "eventSourceARN": arn}
            for number, text in enumerate(texts)
        ]
    }
