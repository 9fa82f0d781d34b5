"""`make embed` embeds documents: a folder, a prefix of S3, or one file."""

import itertools
import json
import operator
import signal
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from events.aws import LocalAWS
from events.embed.job import Job
from events.embed.progress import Refused
from handler.chunking import Chunking
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors
from tests.events.commands import embed, rows
from tests.pipelines.fakes import FakeService

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
        f" vectors of 384 numbers in {out}; 1 record failed, for the reason in {out}.failures.jsonl; "
        "1 file of another kind was skipped.\n"
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
