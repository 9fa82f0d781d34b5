"""`python -m events.invoke` sends every event in events/ through AWS's emulator to the real handler."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.aws import LocalAWS
from events.emulator import Emulator
from events.invoke import DOCUMENT, INPUT, OUTPUT, PASSAGES, shown
from tests.events.commands import run

ROOT = Path(__file__).resolve().parents[2]
DIMENSION = 384
EVENTS = sorted((ROOT / "events").glob("*.json"))
REPLIES = {
    "records": r'[{"id": "weather-1", "embedding": [',
    "pipes": r'[{"id": "059f36b4-87a3-44ab-83d2-661970000008", "embedding": [',
    "distributed_map": '{"key": "s3://vectors/',
    "sqs": '{"batchItemFailures": []}',
    "sqs_fifo": '{"batchItemFailures": []}',
    "kinesis": '{"batchItemFailures": []}',
    "kinesis_aggregated": '{"batchItemFailures": []}',
    "dynamodb": '{"batchItemFailures": []}',
    "kafka": '{"batchItemFailures": []}',
    "sns": "null",
    "eventbridge": "null",
    "s3": "null",
    "s3_eventbridge": "null",
    "s3_test": "null",
}
"""The beginnings of the pipeline's responses."""
WRITTEN = {"distributed_map": 2, "sqs": 3, "sqs_fifo": 3, "kinesis": 2, "dynamodb": 2, "sns": 1, "eventbridge": 1, "s3": 2} | {
    "s3_eventbridge": 2,
    "kinesis_aggregated": 2,
    "kafka": 3,
}
"""The number of vectors that each event writes to the sink."""
MODEL_DIR = os.environ.get("MODEL_DIR", str(ROOT / "build/model"))


def invoked(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m events.invoke` with these arguments."""
    return run("events.invoke", *arguments, MODEL_DIR=MODEL_DIR, AUTH="none")


def texts(event: Path) -> list[str]:
    """Return the texts in one of our events."""
    content = json.loads(event.read_text())
    inputs = content["inputs"] if "inputs" in content else json.loads(content["body"])["inputs"]
    return [inputs] if isinstance(inputs, str) else inputs


@pytest.mark.parametrize("event", [event for event in EVENTS if event.stem not in REPLIES], ids=lambda event: event.stem)
def test_the_response_to_an_event_of_texts_has_a_vector_for_each(event: Path) -> None:
    """The command prints the vectors and the REPORT line, and exits with 0."""
    run = invoked("--full", event)
    assert run.returncode == 0, run.stdout + run.stderr
    [body] = [line for line in run.stdout.splitlines() if line.startswith("[[")]
    assert [len(vector) for vector in json.loads(body)] == [DIMENSION] * len(texts(event))
    assert re.search(r"^REPORT RequestId: .*Duration: [\d.]+ ms.*Memory Size: \d+ MB", run.stdout, re.MULTILINE)
    assert ("HTTP 200" in run.stdout.splitlines()) == ("requestContext" in json.loads(event.read_text()))


@pytest.fixture(scope="module")
def pipeline(aws_server: LocalAWS) -> Iterator[Emulator]:
    """Run the pipeline function in the emulator, with a bucket for its vectors and the object that S3's events name."""
    s3 = aws_server.client("s3")
    for bucket in (INPUT, OUTPUT):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=INPUT, Key=DOCUMENT, Body=PASSAGES)
    sink = {"SINK": f"s3://{OUTPUT}/emulated", "INPUT": f"s3://{INPUT}"}
    environment = {**os.environ, **aws_server.environment, **sink, "MODEL_DIR": MODEL_DIR}
    with Emulator("handler.functions.pipeline.handler", env=environment) as emulator:
        yield emulator


@pytest.mark.parametrize("event", [event for event in EVENTS if event.stem in REPLIES], ids=lambda event: event.stem)
def test_every_event_of_a_pipeline_is_answered_and_its_vectors_are_written(
    aws_server: LocalAWS, pipeline: Emulator, event: Path
) -> None:
    """Each event makes shards of its own."""
    s3 = aws_server.client("s3")
    reply = pipeline.invoke(event.read_bytes())
    assert shown(json.loads(reply)).startswith(REPLIES[event.stem])
    written = [one["Key"] for one in s3.list_objects_v2(Bucket=OUTPUT, Prefix="emulated/").get("Contents", [])]
    bodies = [s3.get_object(Bucket=OUTPUT, Key=key)["Body"].read() for key in written]
    assert sum(len(body.splitlines()) for body in bodies) == WRITTEN.get(event.stem, 0)
    for key in written:
        s3.delete_object(Bucket=OUTPUT, Key=key)


def test_an_event_of_a_pipeline_shows_what_it_wrote_on_this_machine() -> None:
    """If no sink is set, the command makes a bucket for it."""
    run = invoked(ROOT / "events/s3.json")
    assert run.returncode == 0, run.stdout + run.stderr
    reply, _, shard, *vectors = run.stdout.splitlines()[:5]
    assert (reply, shard.startswith(f"s3://{OUTPUT}/documents/in/two passages.jsonl/")) == ("null", True)
    assert all("384 floats" in vector for vector in vectors)


def test_a_record_that_failed_is_shown_with_its_reason(tmp_path: Path) -> None:
    """The response to a queue has no reasons."""
    event = json.loads((ROOT / "events/sqs.json").read_text())
    event["Records"][0]["body"] = '{"id": "damaged"}'
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event))
    lines = invoked(path).stdout.splitlines()
    assert lines[0] == '{"batchItemFailures": []}'
    (place,) = [index for index, line in enumerate(lines) if line.startswith("s3://failures/")]
    failure = json.loads(lines[place + 1])
    assert (failure["id"], failure["error"]) == ("damaged", "`inputs` is missing")


def test_long_vectors_are_shortened_on_the_terminal() -> None:
    """The first numbers and the length are printed."""
    run = invoked(ROOT / "events/http_api_v2.json")
    assert re.search(r"^\[\[-?[\d.e-]+, -?[\d.e-]+, … 384 floats\]\]$", run.stdout, re.MULTILINE), run.stdout


def test_an_error_status_exits_1(tmp_path: Path) -> None:
    """The response is printed as well."""
    event = json.loads((ROOT / "events/http_api_v2.json").read_text())
    (tmp_path / "event.json").write_text(json.dumps(event | {"body": "not JSON"}))
    run = invoked(tmp_path / "event.json")
    assert (run.returncode, run.stdout.splitlines()[0]) == (1, "HTTP 400")


def test_a_failed_direct_event_exits_1(tmp_path: Path) -> None:
    """Its response has an errorMessage instead of vectors."""
    (tmp_path / "event.json").write_text('{"inputs": []}')
    run = invoked(tmp_path / "event.json")
    assert run.returncode == 1
    assert '"errorMessage"' in run.stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, r"Cannot read the event .*: No such file or directory\."), ("{", r".* not JSON: .*")],
)
def test_an_event_that_cannot_be_read_is_reported_in_one_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    """There is no traceback, and no emulator is started."""
    if content is not None:
        (tmp_path / "event.json").write_text(content)
    run = invoked(tmp_path / "event.json")
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(sentence + "\n", run.stderr)


def test_the_emulator_runs_as_long_as_its_block() -> None:
    """There is one REPORT for each invocation; after the block the port is closed."""
    with Emulator(env={**os.environ, "MODEL_DIR": MODEL_DIR, "AUTH": "none"}) as emulator:
        reply = emulator.invoke(b'{"inputs": "a"}')
        reports = emulator.reports
    assert len(json.loads(reply)[0]) == DIMENSION
    assert len(reports) == 1
    with pytest.raises(ConnectionRefusedError):
        emulator.invoke(b'{"inputs": "a"}')


def test_a_handler_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """The emulator has Lambda's timeouts. The next event starts a new environment, and the start counts."""
    (tmp_path / "slow.py").write_text("import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n")
    with Emulator("slow.handler", cwd=tmp_path, timeout_seconds=3) as emulator:
        assert emulator.invoke(b"20") == b"Task timed out after 3.00 seconds"
        assert emulator.invoke(b"0") == b"0"
        assert len(emulator.reports) == 2
