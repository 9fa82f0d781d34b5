"""`make embed` makes a file of vectors from a file of texts, whatever interrupts it."""

import gzip
import itertools
import json
import operator
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest

from events.aws import LocalAWS
from events.embed.job import Job
from events.embed.progress import Refused
from handler.chunking import Chunking
from handler.errors import Validation
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors
from tests.conftest import INT8, ROOT, serve
from tests.pipelines.fakes import FakeService

RECORDS = 2000
SECONDS = 120


def embed(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command as make does."""
    return subprocess.run(
        [sys.executable, "-m", "events.embed", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "MODEL_DIR": str(INT8), **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of OUT."""
    if path.suffix == ".parquet":
        read: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return [{**row, "metadata": json.loads(row["metadata"])} for row in read]
    return [json.loads(line) for line in path.read_bytes().splitlines()]


CORPUS = (
    '{"id": 7, "inputs": "How is the weather?", "topic": "small talk"}\nnot JSON\n{"inputs": "Is it raining?"}\n\n{"inputs": ""}\n'
)


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_vectors_are_the_services_and_failures_have_their_reasons(tmp_path: Path, service: Service, name: str, out: str) -> None:
    """The rows are in the order of the records, and no other files are left."""
    source, made = tmp_path / name, tmp_path / out
    source.write_bytes(gzip.compress(CORPUS.encode()) if name.endswith(".gz") else CORPUS.encode())
    ran = embed(source, made)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"2 vectors of 384 numbers in {made}; 2 records failed, for the reasons in {made}.failures.jsonl.\n"
    expected = service.embed(["How is the weather?", "Is it raining?"], Options())
    first, second = rows(made)
    assert np.array(first.pop("embedding"), np.float32).tobytes() == expected.vectors[0].tobytes()
    assert first == {"id": "7", "tokens": 7, "truncated": False, "metadata": {"topic": "small talk"}}
    assert second["id"] == f"{name}:{CORPUS.index('{"inputs": "Is')}"
    failures = [json.loads(line) for line in Path(f"{made}.failures.jsonl").read_text().splitlines()]
    assert [failure["error"].split(":")[0] for failure in failures] == [
        "The record at byte 66 is not JSON",
        "`inputs` cannot be empty",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, out, f"{out}.failures.jsonl"])


def test_a_csv_with_another_text_column_and_an_empty_file_are_embedded(tmp_path: Path) -> None:
    """TEXT_FIELD names the column; an empty file makes an output without rows."""
    (tmp_path / "a.csv").write_text("title,body\nWeather,It rains.\n")
    (tmp_path / "a.txt").write_text("")
    assert embed(tmp_path / "a.csv", tmp_path / "a.jsonl", TEXT_FIELD="body").returncode == 0
    assert [row["metadata"] for row in rows(tmp_path / "a.jsonl")] == [{"title": "Weather"}]
    assert embed(tmp_path / "a.txt", tmp_path / "b.parquet").stdout.startswith("0 vectors")
    assert rows(tmp_path / "b.parquet") == []


REFUSED = [
    ("gone.jsonl", "out.parquet", "IN must be a file, a folder or s3://BUCKET/PREFIX. Given: gone.jsonl, which is not there"),
    (".", "out.parquet", "OUT must be outside of the folder IN, or it would be read again. Given: out.parquet"),
    ("in.jsonl", "out.csv", "OUT must end in .jsonl or .parquet. Given: out.csv"),
    ("in.jsonl", "no/out.jsonl", "OUT must be in a folder that is there. Given: no/out.jsonl"),
    ("in.jsonl", "./in.jsonl", "OUT must be another file than IN. Given: in.jsonl"),
    (
        "in.json",
        "out.jsonl",
        "The file must end in .jsonl, .ndjson, .csv, .txt, .md, .markdown, .html or .htm, with or without .gz after it. "  # noqa: ISC004
        "Given: 'json'",
    ),
    (
        "in.jsonl",
        "out.jsonl",
        "The first record has no field `inputs`. It has: 'title', 'body'. Name the one to embed: TEXT_FIELD=…",
    ),
    (
        "in.csv",
        "out.jsonl",
        "The record at byte 0 is the header. It must name each column once, and `inputs` among them. Given: 'title', 'body'. "  # noqa: ISC004
        "Name the one to embed: TEXT_FIELD=…",
    ),
]


@pytest.mark.parametrize(("source", "out", "sentence"), REFUSED, ids=[sentence for _, _, sentence in REFUSED])
def test_a_command_that_cannot_be_done_is_refused_with_a_sentence(
    source: str, out: str, sentence: str, tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is written."""
    (tmp_path / "in.jsonl").write_text('{"title": "a", "body": "b"}\n')
    (tmp_path / "in.json").write_text("{}")
    (tmp_path / "in.csv").write_text("title,body\na,b\n")
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    with pytest.raises((Refused, Validation)) as refused:
        Job(Path(source), Path(out), "inputs", service).run()
    assert str(refused.value) == sentence
    assert set(tmp_path.iterdir()) == before


def test_without_a_model_the_command_is_refused(tmp_path: Path) -> None:
    """The sentence is the one of the functions; the log, on the same terminal, has the reason."""
    (tmp_path / "in.jsonl").write_text('{"inputs": "a"}\n')
    ran = embed(tmp_path / "in.jsonl", tmp_path / "out.jsonl", MODEL_DIR=str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("The model cannot be served; the reason is in the log under ")
    assert f"The model file manifest.json is missing in {tmp_path}" in ran.stderr


def fast(source: Path, out: Path) -> "subprocess.Popen[str]":
    """Start the job with a fast service, in parts of 64 records."""
    command = [sys.executable, "-m", "tests.events.fast_embedding", str(source), str(out)]
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
        with fast(corpus, made) as running:
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
    with fast(corpus, made) as running:
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


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_a_file_has_vectors_of_the_type_asked_for(tmp_path: Path, service: Service, out: str) -> None:
    """`make embed TYPE=int8`; a record that names another type has no place in it."""
    source, made = tmp_path / "in.jsonl", tmp_path / out
    texts = ["How is the weather?", "Is it raining?"]
    records = [{"inputs": texts[0]}, {"inputs": "a", "output_dtype": "float"}, {"inputs": texts[1], "output_dtype": "int8"}]
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    ran = embed(source, made, OUTPUT_DTYPE="int8")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"2 vectors of 384 numbers, as int8 in {made}; 1 records failed")
    assert [row["embedding"] for row in rows(made)] == service.embed(texts, Options(output_dtype="int8")).vectors.tolist()
    failure = json.loads(Path(f"{made}.failures.jsonl").read_text())
    assert failure["error"] == "OUT has int8 vectors, as TYPE says; the record asks for float32"


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

CHUNKED = {"CHUNK_TOKENS": "32", "CHUNK_OVERLAP": "8", "CHUNK_TEXT": "true"}
SENTENCES = " ".join(f"This is sentence {number} of a long text, which no model reads at once." for number in range(60))


def folder_of_documents(folder: Path) -> Path:
    """Write a folder with documents of all kinds, records, and other files."""
    for name, content in {
        "guide/a.md": f"# The guide\n\n{SENTENCES}",
        "b.html": "<title>Page</title><p>Some text.</p>",
        "c.txt": "First line.\nSecond line.",
        "d.jsonl": '{"id": 1, "inputs": "A record.", "lang": "en"}\n{"inputs": "Another."}\n',
        "e.pdf": "%PDF-1.7",
        "f.png": "png",
        ".git/config.md": "hidden",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_a_folder_is_embedded_at_once(tmp_path: Path, service: Service) -> None:
    """Documents have their path as their id, and each chunk has its range. What cannot be read is named or counted."""
    source, out = folder_of_documents(tmp_path / "docs"), tmp_path / "out.parquet"
    ran = embed(source, out, **CHUNKED)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith(
        f" vectors of 384 numbers in {out}; 1 records failed, for the reasons in {out}.failures.jsonl; "
        "1 files of other kinds were skipped.\n"
    )
    found = {row["id"]: row for row in rows(out)}
    guide = [row for name, row in found.items() if name.startswith("guide/a.md#")]
    assert len(guide) > 20
    assert found.keys() - {row["id"] for row in guide} == {"b.html#0", "c.txt#0", "1#0", "d.jsonl:47#0"}
    text = (source / "guide/a.md").read_text()
    for number, row in enumerate(guide):
        metadata = row["metadata"]
        assert (row["id"], metadata["title"], metadata["path"]) == (f"guide/a.md#{number}", "The guide", "guide/a.md")
        assert text[metadata["start"] : metadata["end"]] == metadata["text"]
        assert row["tokens"] <= 32
        assert np.array(row["embedding"], np.float32).tobytes() == service.embed([metadata["text"]], Options()).vectors[0].tobytes()
    assert found["1#0"]["metadata"] == {
        "lang": "en",
        "document": "1",
        "chunk": 0,
        "chunks": 1,
        "start": 0,
        "end": 9,
        "text": "A record.",
    }
    (failure,) = [json.loads(line) for line in Path(f"{out}.failures.jsonl").read_text().splitlines()]
    assert (failure["id"], "pdftotext" in failure["error"]) == ("e.pdf", True)


class Interrupted(FakeService):
    """A service during whose first call the user interrupts the command."""

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        if not self.asked:
            signal.raise_signal(signal.SIGINT)
        return super().embed(texts, options, deadline)


def test_an_interrupted_folder_resumes_with_the_same_result(tmp_path: Path) -> None:
    """Each run embeds one record, until nothing is left."""
    source, whole, pieces = folder_of_documents(tmp_path / "docs"), tmp_path / "whole.jsonl", tmp_path / "pieces.jsonl"
    assert Job(source, whole, "inputs", FakeService(), chunking=Chunking(32)).run()
    runs = (Job(source, pieces, "inputs", Interrupted(), part_records=1, chunking=Chunking(32)).run() for _ in range(20))
    assert list(itertools.takewhile(operator.not_, runs)) == [False] * 5
    assert pieces.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(("settings", "ids"), [({}, ["c.txt:0", "c.txt:12"]), (CHUNKED, ["c.txt#0"])])
def test_a_text_file_by_itself_is_one_document_if_texts_are_split(tmp_path: Path, settings: dict[str, str], ids: list[str]) -> None:
    """Without splitting, each of its lines is a record, as before."""
    out = tmp_path / "out.jsonl"
    assert embed(folder_of_documents(tmp_path / "docs") / "c.txt", out, **settings).returncode == 0
    assert [row["id"] for row in rows(out)] == ids


def test_a_prefix_of_s3_is_embedded_like_a_folder(tmp_path: Path, aws: LocalAWS) -> None:
    """The ids are the keys, as in the pipeline. An object that changes while it is read is refused by name."""
    source, bucket = folder_of_documents(tmp_path / "docs"), f"documents-{uuid4().hex}"
    client = aws.client("s3")
    client.create_bucket(Bucket=bucket)
    for path in source.rglob("*.*"):
        if path.is_file():
            client.put_object(Bucket=bucket, Key=f"docs/{path.relative_to(source)}", Body=path.read_bytes())
    client.put_object(Bucket=bucket, Key="other.md", Body=b"Not under the prefix.")
    local, stored = tmp_path / "local.jsonl", tmp_path / "stored.jsonl"
    assert Job(source, local, "inputs", FakeService(), chunking=Chunking(32)).run()
    assert Job(f"s3://{bucket}/docs/", stored, "inputs", FakeService(), chunking=Chunking(32)).run()
    assert [row["id"].removeprefix("docs/") for row in rows(stored)] == [row["id"] for row in rows(local)]
    job = Job(f"s3://{bucket}/other.md", tmp_path / "changed.jsonl", "inputs", FakeService())
    client.put_object(Bucket=bucket, Key="other.md", Body=b"Changed.")
    with pytest.raises(Refused, match=rf"^s3://{bucket}/other\.md was changed or deleted since the command began$"):
        job.run()
    with pytest.raises(Refused, match=r"^S3 does not list s3://missing-bucket/docs: NoSuchBucket$"):
        Job("s3://missing-bucket/docs", stored, "inputs", FakeService())


def test_a_folder_without_a_file_to_embed_is_refused(tmp_path: Path) -> None:
    """An OUT inside of IN is refused, too: the next run would read it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.png").write_text("png")
    ran = embed(tmp_path / "docs", tmp_path / "out.jsonl")
    assert ran.stderr.endswith(f"IN has no file that can be embedded. Given: {tmp_path / 'docs'}.\n")
    ran = embed(tmp_path / "docs", tmp_path / "docs/out.jsonl")
    assert "OUT must be outside of the folder IN" in ran.stderr


def test_options_of_splitting_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """The sentence names the setting as it was given."""
    (tmp_path / "a.md").write_text("Text.")
    ran = embed(tmp_path / "a.md", tmp_path / "out.jsonl", CHUNK_TOKENS="8")
    assert ran.stderr.endswith("CHUNK_TOKENS must be at least 32, or 0 for no splitting. Given: 8.\n")


def test_a_type_that_does_not_exist_is_refused_by_the_name_that_make_has_for_it(tmp_path: Path) -> None:
    """`make embed TYPE=int4`: the setting OUTPUT_DTYPE and an incident in a log say nothing to somebody at a terminal."""
    ran = embed(tmp_path / "a.md", tmp_path / "out.jsonl", OUTPUT_DTYPE="int4")
    assert ran.returncode == 1
    assert ran.stderr == "`TYPE` must be `float32` or `int8` or `uint8` or `binary` or `ubinary`. Given: 'int4'.\n"
