"""`make embed` makes a file of vectors from a file of texts."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from events.embed.job import Job
from events.embed.progress import Refused
from handler.errors import Validation
from handler.service import Options, Service
from tests.events.commands import embed, rows

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
    out = tmp_path / "a.jsonl"
    assert embed(tmp_path / "a.csv", out, TEXT_FIELD="body").stdout == f"1 vector of 384 numbers in {out}.\n"
    assert [row["metadata"] for row in rows(out)] == [{"title": "Weather"}]
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


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_a_file_has_vectors_of_the_type_asked_for(tmp_path: Path, service: Service, out: str) -> None:
    """`make embed TYPE=int8`; a record that names another type has no place in it."""
    source, made = tmp_path / "in.jsonl", tmp_path / out
    texts = ["How is the weather?", "Is it raining?"]
    records = [{"inputs": texts[0]}, {"inputs": "a", "output_dtype": "float"}, {"inputs": texts[1], "output_dtype": "int8"}]
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    ran = embed(source, made, OUTPUT_DTYPE="int8")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"2 vectors of 384 numbers, as int8 in {made}; 1 record failed")
    assert [row["embedding"] for row in rows(made)] == service.embed(texts, Options(output_dtype="int8")).vectors.tolist()
    failure = json.loads(Path(f"{made}.failures.jsonl").read_text())
    assert failure["error"] == "OUT has int8 vectors, as TYPE says; the record asks for float32"


def test_a_type_that_does_not_exist_is_refused_by_the_name_that_make_has_for_it(tmp_path: Path) -> None:
    """`make embed TYPE=int4`: the setting OUTPUT_DTYPE and an incident in a log say nothing to somebody at a terminal."""
    ran = embed(tmp_path / "a.md", tmp_path / "out.jsonl", OUTPUT_DTYPE="int4")
    assert ran.returncode == 1
    assert ran.stderr == "`TYPE` must be `float32` or `int8` or `uint8` or `binary` or `ubinary`. Given: 'int4'.\n"
