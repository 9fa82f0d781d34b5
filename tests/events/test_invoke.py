"""`python -m events.invoke`: every event in events/ through AWS's emulator and the real handler."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from events.emulator import Emulator
from events.invoke import shown

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
    "dynamodb": '{"batchItemFailures": []}',
    "sns": "null",
    "eventbridge": "null",
    "s3": "null",
    "s3_eventbridge": "null",
    "s3_test": "null",
}
"""How replies to events of a pipeline begin."""
WRITTEN = {"distributed_map": 2, "sqs": 3, "sqs_fifo": 3, "kinesis": 2, "dynamodb": 2, "sns": 1, "eventbridge": 1, "s3": 2} | {
    "s3_eventbridge": 2
}
"""The vectors that each has written to its sink."""
MODEL_DIR = os.environ.get("MODEL_DIR", str(ROOT / "build/model"))


def invoked(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`python -m events.invoke` with `arguments`."""
    return subprocess.run(
        [sys.executable, "-m", "events.invoke", *arguments],
        cwd=ROOT,
        env={**os.environ, "MODEL_DIR": MODEL_DIR, "AUTH": "none"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def texts(event: Path) -> list[str]:
    """The texts an event of ours carries."""
    content = json.loads(event.read_text())
    inputs = content["inputs"] if "inputs" in content else json.loads(content["body"])["inputs"]
    return [inputs] if isinstance(inputs, str) else inputs


@pytest.mark.parametrize("event", [event for event in EVENTS if event.stem not in REPLIES], ids=lambda event: event.stem)
def test_every_event_for_texts_is_answered_with_a_vector_a_text(event: Path) -> None:
    """Exit 0, the vectors, and the REPORT line."""
    run = invoked("--full", event)
    assert run.returncode == 0, run.stdout + run.stderr
    [body] = [line for line in run.stdout.splitlines() if line.startswith("[[")]
    assert [len(vector) for vector in json.loads(body)] == [DIMENSION] * len(texts(event))
    assert re.search(r"^REPORT RequestId: .*Duration: [\d.]+ ms.*Memory Size: \d+ MB", run.stdout, re.MULTILINE)
    assert ("HTTP 200" in run.stdout.splitlines()) == ("requestContext" in json.loads(event.read_text()))


@pytest.mark.parametrize("event", [event for event in EVENTS if event.stem in REPLIES], ids=lambda event: event.stem)
def test_every_event_of_a_pipeline_is_answered_and_its_vectors_are_written(event: Path) -> None:
    """By the pipeline function, into a bucket on this machine, which is shown."""
    run = invoked("--full", event)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert json.loads(lines[0]) is not None or REPLIES[event.stem] == "null"
    assert shown(json.loads(lines[0])).startswith(REPLIES[event.stem])
    assert len([line for line in lines[1:] if '"embedding": [' in line]) == WRITTEN.get(event.stem, 0)
    assert run.stdout.count("REPORT RequestId: ") == 1


def test_long_vectors_are_shortened_for_the_eye() -> None:
    """The beginning and the length."""
    run = invoked(ROOT / "events/http_api_v2.json")
    assert re.search(r"^\[\[-?[\d.e-]+, -?[\d.e-]+, … 384 floats\]\]$", run.stdout, re.MULTILINE), run.stdout


def test_an_error_status_exits_1(tmp_path: Path) -> None:
    """The reply is shown all the same."""
    event = json.loads((ROOT / "events/http_api_v2.json").read_text())
    (tmp_path / "event.json").write_text(json.dumps(event | {"body": "not JSON"}))
    run = invoked(tmp_path / "event.json")
    assert (run.returncode, run.stdout.splitlines()[0]) == (1, "HTTP 400")


def test_a_failed_direct_event_exits_1(tmp_path: Path) -> None:
    """It replies an errorMessage instead of vectors."""
    (tmp_path / "event.json").write_text('{"inputs": []}')
    run = invoked(tmp_path / "event.json")
    assert run.returncode == 1
    assert '"errorMessage"' in run.stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, r"Cannot read the event .*: No such file or directory\."), ("{", r".* not JSON: .*")],
)
def test_an_event_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    """No traceback, and nothing is started."""
    if content is not None:
        (tmp_path / "event.json").write_text(content)
    run = invoked(tmp_path / "event.json")
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(sentence + "\n", run.stderr)


def test_the_emulator_answers_within_its_block_and_is_gone_after_it() -> None:
    """One REPORT an invocation; afterwards nobody listens."""
    with Emulator(env={**os.environ, "MODEL_DIR": MODEL_DIR, "AUTH": "none"}) as emulator:
        reply = emulator.invoke(b'{"inputs": "a"}')
        reports = emulator.reports
    assert len(json.loads(reply)[0]) == DIMENSION
    assert len(reports) == 1
    with pytest.raises(ConnectionRefusedError):
        emulator.invoke(b'{"inputs": "a"}')


def test_a_handler_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """Real time-outs; the environment starts anew for the next event."""
    (tmp_path / "slow.py").write_text("import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n")
    with Emulator("slow.handler", cwd=tmp_path, timeout_seconds=1) as emulator:
        assert emulator.invoke(b"20") == b"Task timed out after 1.00 seconds"
        assert emulator.invoke(b"0") == b"0"
        assert len(emulator.reports) == 2
