"""The whole pipeline stays within 1 GB, whatever an object's size: 20 MB here, 500 MB in `make soak`.

The function is a process of its own with a limit of 1 GB. Each invocation has time for a shard or two, so the continuation queue
has to resume an object. S3 and SQS are moto's, in another process. The quick model differs from a real one in its network only, and
embeds 500 MB in minutes. The default model would take hours, so it gets a fiftieth.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pytest

from events.aws import LocalAWS
from handler.pipeline.objects import SHARD_BYTES
from tests.conftest import INT8, ROOT
from tests.pipelines import quick_model
from tests.pipelines.poller import Queue, poll

OBJECT_MB = int(os.environ.get("OBJECT_MB", "20"))
WHOLE_SECONDS = 900
"""Lambda's longest invocation, which has time for everything."""
SHARDS_OF_AN_INVOCATION = 3
"""The time of one invocation, in shards. A fifth is kept for writing, and a shard begins only if 1.5 times its time is left."""
MANY_SHARDS = 5
"""More than twice as many shards as one invocation has time for, so that several invocations are needed."""
MOST_GROWTH_MB = 150
"""The limit of the growth of memory after one short text. Cached vectors may take 32 MB of it."""
MOST_EVENTS = 1000
SENTENCE = "All work and no play makes Jack a dull boy; all play and no work makes him a mere toy. "
LENGTHS = (60, 300, 300, 700, 1_500, 4_000, 20_000)
LONGEST, LONGEST_EACH = 1_000_000, 2_000
"""Every 2,000th text has a million characters."""

FUNCTION = r"""
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))
from handler.functions.pipeline import handler
class Context:
    def get_remaining_time_in_millis(self):
        return 1000 * seconds
for line in sys.stdin:
    seconds, event = json.loads(line)
    reply = handler(event, Context())
    # ru_maxrss would include the peak of the process that started this one.
    print(json.dumps([reply, int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) // 1024]), flush=True)
"""


class Function:
    """The pipeline function in a process with a limit of 1 GB, for a `with` block. `peak_mb` is its peak so far."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self.peak_mb = 0

    def __enter__(self) -> Self:
        """Start the process."""
        command, pipe = [sys.executable, "-c", FUNCTION], subprocess.PIPE
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdin=pipe, stdout=pipe, stderr=log, text=True
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def invoke(self, seconds: float, event: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to an event that has so many seconds."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([seconds, event]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, self._log.read_text()[-3000:]
        reply: dict[str, Any]
        reply, self.peak_mb = json.loads(answer)
        return reply


def text(number: int) -> str:
    """Return a text that no other number has. Lengths are mixed."""
    length = LONGEST if number % LONGEST_EACH == LONGEST_EACH - 1 else LENGTHS[number % len(LENGTHS)]
    return f"{number} {SENTENCE * (length // len(SENTENCE) + 1)}"[:length]


def write(path: Path, megabytes: float) -> int:
    """Write lines of so many megabytes, but at least one line; return how many."""
    with path.open("wb") as file:
        for number in count():
            file.write(orjson.dumps({"id": str(number), "inputs": text(number)}) + b"\n")
            if file.tell() >= megabytes * 1e6:
                return number + 1
    raise AssertionError


@pytest.mark.parametrize(
    ("model", "megabytes"),
    [(quick_model.write, OBJECT_MB), (lambda _: INT8, OBJECT_MB / 50)],
    ids=["quick", "default"],
)
def test_an_object_of_any_size_is_embedded_within_the_same_memory(
    tmp_path: Path, model: Callable[[Path], Path], megabytes: float
) -> None:
    """Several invocations of one process embed it, its peak is measured, and every record is in the shards once."""
    sizes = {"short": 0.0, "shard": min(megabytes, SHARD_BYTES / 1e6), "whole": megabytes}
    counts = {name: write(tmp_path / name, size) for name, size in sizes.items()}
    with LocalAWS() as aws:
        s3, queue = aws.client("s3"), Queue(aws.client("sqs"), "objects")
        s3.create_bucket(Bucket="corpus")
        settings = {"SINK": "s3://corpus/out", "INPUT": "s3://corpus/in/", "CONTINUATION_QUEUE": queue.url}
        environment = {**os.environ, **aws.environment, **settings, "MODEL_DIR": str(model(tmp_path))}
        with Function(environment, tmp_path / "log") as function:

            def embed(name: str, seconds: float) -> tuple[int, int]:
                """Embed an object; return how many events that took, and the function's peak so far."""
                with (tmp_path / name).open("rb") as file:
                    s3.put_object(Bucket="corpus", Key=f"in/{name}.jsonl", Body=file)
                place = {"bucket": {"name": "corpus"}, "object": {"key": f"in/{name}.jsonl"}}
                queue.send(
                    [("", json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": place}]}))]
                )
                return poll(queue, partial(function.invoke, seconds), 1, MOST_EVENTS), function.peak_mb

            _, idle_mb = embed("short", WHOLE_SECONDS)
            started = time.monotonic()
            _, shard_mb = embed("shard", WHOLE_SECONDS)
            events, peak_mb = embed("whole", SHARDS_OF_AN_INVOCATION * (time.monotonic() - started))
        ids = []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="corpus", Prefix="out/corpus/in/whole.jsonl/"):
            for shard in page["Contents"]:
                lines = s3.get_object(Bucket="corpus", Key=shard["Key"])["Body"].read().splitlines()
                ids += [orjson.loads(line)["id"] for line in lines]
    peaks = f"peak {peak_mb} MB (after one text {idle_mb} MB, after one shard {shard_mb} MB)"
    print(f"{megabytes} MB, {counts['whole']} records, {events} events, {peaks}")  # noqa: T201 - the figure, with -s
    assert sorted(ids, key=int) == list(map(str, range(counts["whole"])))
    assert events > 1 or megabytes * 1e6 < MANY_SHARDS * SHARD_BYTES
    assert peak_mb - idle_mb < MOST_GROWTH_MB
