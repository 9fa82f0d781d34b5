"""`make embed` resumes after any end, and never mixes the work of two jobs."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from events.embed.job import Job
from events.embed.progress import Refused
from handler.service import Service
from tests.conftest import INT8, ROOT, serve
from tests.events.commands import SECONDS, rows
from tests.pipelines.fakes import FakeService

RECORDS = 2000


def fast(source: Path, out: Path, *calls: int) -> "subprocess.Popen[str]":
    """Start the job with a service that is fast, or is so for a number of calls, in parts of 64 records."""
    command = [sys.executable, "-m", "tests.events.fast_embedding", str(source), str(out), *map(str, calls)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write an input in which every hundredth line is not JSON."""
    path = tmp_path / "in.jsonl"
    path.write_text(
        "".join(f'{{"id": {number}, "inputs": "Text {number}."}}\n' if number % 100 else "none\n" for number in range(RECORDS))
    )
    return path


def begun(out: Path, parts: int) -> bool:
    """Return True if the progress has so many parts."""
    progress = Path(f"{out}.progress")
    return progress.exists() and progress.read_bytes().count(b"\n") > parts


@pytest.mark.parametrize(
    ("out", "kind"), [("out.parquet", signal.SIGKILL), ("out.jsonl", signal.SIGKILL), ("out.parquet", signal.SIGINT)]
)
def test_the_same_command_resumes_after_any_end_and_every_record_is_there_once(
    corpus: Path, tmp_path: Path, out: str, kind: signal.Signals
) -> None:
    """The job is ended at two moments that a seed chooses."""
    moments, made = random.Random(f"{out} {kind}"), tmp_path / out  # noqa: S311 - moments, not secrets
    for parts in (1, 12):
        with fast(corpus, made, parts + 3) as running:
            deadline = time.monotonic() + SECONDS
            while not begun(made, parts) and running.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.02))
            running.send_signal(kind)
            assert running.wait(SECONDS) == (-kind if kind == signal.SIGKILL else 130)
        assert not made.exists()
    done = Path(f"{made}.progress").read_bytes().count(b"\n")
    assert done >= 12
    with fast(corpus, made) as running:
        assert running.wait(SECONDS) == 0, running.stderr
    assert [row["id"] for row in rows(made)] == [str(number) for number in range(RECORDS) if number % 100]
    assert len(Path(f"{made}.failures.jsonl").read_bytes().splitlines()) == RECORDS // 100


def interrupted(corpus: Path, made: Path) -> None:
    """Interrupt a job, so that there is a state to resume from."""
    with fast(corpus, made, 5) as running:
        while not begun(made, 2):
            assert running.poll() is None, "it ended before it was interrupted"
            time.sleep(0.001)
        running.kill()


def test_an_incomplete_line_of_progress_is_ignored(corpus: Path, tmp_path: Path) -> None:
    """The part that it counts is made again."""
    made = tmp_path / "out.parquet"
    interrupted(corpus, made)
    progress = Path(f"{made}.progress")
    progress.write_bytes(progress.read_bytes()[:-20])
    with fast(corpus, made) as running:
        assert running.wait(SECONDS) == 0
    assert len(rows(made)) == RECORDS - RECORDS // 100


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_a_kill_just_after_the_output_was_renamed_leaves_it_complete(
    tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command then only deletes the record of the progress."""
    source, made = tmp_path / "in.jsonl", tmp_path / out
    source.write_text("".join(f'{{"id": {number}, "inputs": "Text {number}."}}\n' for number in range(50)))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as ending:
        ending.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            Job(source, made, "inputs", FakeService()).run()
    written = made.read_bytes()
    assert Job(source, made, "inputs", FakeService()).run()
    assert made.read_bytes() == written
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", out}


def test_a_job_whose_partial_file_is_missing_is_not_resumed(corpus: Path, tmp_path: Path) -> None:
    """The file would begin with zeros in place of the records."""
    made = tmp_path / "out.jsonl"
    interrupted(corpus, made)
    Path(f"{made}.partial").unlink()
    with fast(corpus, made) as running:
        _, told = running.communicate(timeout=SECONDS)
    assert (
        f"{made}.partial is missing, but {made}.progress says that records were written to it. Delete the latter to start again"
        in told
    )
    assert not made.exists()


def test_work_begun_with_another_type_is_not_resumed(corpus: Path, tmp_path: Path, service: Service) -> None:
    """One file has vectors of one type."""
    made = tmp_path / "out.jsonl"
    interrupted(corpus, made)
    with pytest.raises(Refused, match="is from a run with another TYPE"):
        Job(corpus, made, "inputs", serve(INT8, OUTPUT_DTYPE="ubinary")).run()
    progress = Path(f"{made}.progress")
    begun, rest = progress.read_text().split("\n", 1)
    progress.write_text(json.dumps({"of": json.loads(begun)["of"] | {"TYPE": "ubinary"}}) + f"\n{rest}")
    with pytest.raises(Refused, match="is from a run with another TYPE"):
        Job(corpus, made, "inputs", service).run()


@pytest.mark.parametrize(
    ("more", "text_field", "changed"), [(b'{"inputs": "One more."}\n', "inputs", "IN"), (b"", "id", "TEXT_FIELD")]
)
def test_a_job_with_another_input_is_not_resumed(
    corpus: Path, tmp_path: Path, service: Service, more: bytes, text_field: str, changed: str
) -> None:
    """The sentence says what differs, and what to do."""
    made = tmp_path / "out.parquet"
    interrupted(corpus, made)
    corpus.write_bytes(corpus.read_bytes() + more)
    with pytest.raises(Refused) as refused:
        Job(corpus, made, text_field, service).run()
    assert str(refused.value) == (
        f"{made}.progress is from a run with another {changed}. "
        "Give the command the same values to resume that run, or delete the file to start again"
    )


# --- Documents and folders --------------------------------------------------------------------------------
