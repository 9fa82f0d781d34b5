"""`make search` finds the best records of a file that `make embed` wrote."""

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.embed.job import Job
from events.embed.output import FINGERPRINT, MODEL, PRECISION, TYPE
from events.embed.progress import Refused
from events.search.filters import Filter
from events.search.output import FORMATS
from events.search.search import Found, Search
from handler.service import Options, Service
from handler.vector_types import STEPS, TYPES
from tests.conftest import INT8, ROOT, serve
from tests.events import commands
from tests.events.commands import SECONDS, search
from tests.pipelines.fakes import FakeService, vector_of
from tests.retrieval.corpus import documents

TEXTS = ["How is the weather?", "Is it raining?", "I like ice cream.", "The train is late.", "Where is the station?", "It rains."]
QUESTION = "Does rain fall today?"


def embed(folder: Path, out: str, service: Service, records: Sequence[dict[str, Any]]) -> Path:
    """Embed records by the code of `make embed`, in parts of four."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert Job(source, folder / out, "inputs", service, part_records=4).run()
    return folder / out


def fake(**changes: str) -> FakeService:
    """Make a service of a model without ranges, with changes to its manifest."""
    return FakeService(manifest=replace(FakeService().manifest, ranges={}, **changes))  # type: ignore[arg-type]


def restored(vectors: np.ndarray[Any, Any], name: str, service: Service) -> np.ndarray[Any, Any]:
    """Return the numbers that vectors of a type stand for, in float64."""
    if name == "float32":
        return vectors.astype(np.float64)
    unsigned = vectors.astype(np.int64) + (0 if name.startswith("u") else 128)
    if name.endswith("binary"):
        return np.array([[1 if byte >> bit & 1 else -1 for byte in row for bit in range(7, -1, -1)] for row in unsigned])
    least, most = np.frombuffer(base64.b64decode(service.manifest.ranges["384"]), "<f4").reshape(2, -1).astype(np.float64)
    return least + (unsigned + 0.5) * (most - least) / STEPS


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
@pytest.mark.parametrize("name", TYPES)
def test_results_are_those_of_comparing_every_vector(tmp_path: Path, name: str, out: str, service: Service) -> None:
    """Each type is compared with the float32 vector of the question, by cosine."""
    typed = serve(INT8, OUTPUT_DTYPE=name)
    made = embed(tmp_path, out, typed, [{"id": str(place), "inputs": text} for place, text in enumerate(TEXTS)])
    numbers = restored(typed.embed(TEXTS, Options()).vectors, name, service)
    query = service.embed([QUESTION], Options()).vectors[0].astype(np.float64)
    cosines = numbers @ query / np.linalg.norm(numbers, axis=1) / np.linalg.norm(query)
    found = Search(made, service).find(QUESTION, len(TEXTS))
    assert [each.id for each in found] == [str(place) for place in np.argsort(-cosines)]
    assert [each.score for each in found] == pytest.approx(sorted(cosines, reverse=True), abs=1e-5)
    assert [each.id for each in Search(made, typed).find(QUESTION, 2)] == [each.id for each in found[:2]]


def test_the_command_prints_the_best_passages(tmp_path: Path, service: Service) -> None:
    """A chunk of a document has its place and its text; another record has its id and its metadata."""
    chunk = {"document": "weather.md", "chunk": 3, "start": 120, "end": 134, "text": "Is it\nraining?"}
    records: list[dict[str, Any]] = [
        {"id": "weather.md#3", "inputs": "Is it raining?", **chunk},
        {"id": "b", "inputs": "I like ice cream.", "lang": "en"},
    ]
    made = embed(tmp_path, "out.parquet", service, records)
    ran = search(made, QUESTION)
    assert ran.returncode == 0, ran.stderr
    first, text, second, metadata = ran.stdout.splitlines()
    assert first.startswith("1.  0.")
    assert first.endswith("  weather.md  characters 120 to 134")
    assert text == "   Is it raining?"
    assert second.startswith("2.  ")
    assert second.endswith("  b")
    assert metadata == '   {"lang":"en"}'
    array = json.loads(search(made, QUESTION, "--count", "1", "--format", "json").stdout)
    assert [(each["id"], each["metadata"]) for each in array] == [("weather.md#3", chunk)]
    assert f"{array[0]['score']:.4f}" == first.split()[1]
    assert np.float32(array[0]["score"]) == Search(made, service).find(QUESTION, 1)[0].score


def test_passages_of_documents_are_found_with_their_place_and_text(tmp_path: Path) -> None:
    """A folder of documents is embedded in chunks; the passage found is that part of the document."""
    folder, made = tmp_path / "docs", tmp_path / "out.parquet"
    folder.mkdir()
    texts = {f"{name}.txt": documents()[name].text for name in ("lambda", "calls", "slicings")}
    for name, text in texts.items():
        (folder / name).write_text(text)
    assert commands.embed(folder, made, CHUNK_TOKENS="128", CHUNK_OVERLAP="16", CHUNK_TEXT="true").returncode == 0
    question = "What does a star in front of an argument do when I pass a list to a function?"
    found = json.loads(search(made, question, "--count", "3", "--format", "json", "--filter", "document=calls.txt").stdout)
    assert len(found) == 3
    for each in found:
        fields = each["metadata"]
        assert each["id"] == f"calls.txt#{fields['chunk']}"
        assert fields["text"] == texts["calls.txt"][fields["start"] : fields["end"]]
    first = found[0]["metadata"]
    line = search(made, question, "--count", "1").stdout.splitlines()[0]
    assert line.endswith(f"  calls.txt  characters {first['start']} to {first['end']}")


def test_make_passes_the_question_as_it_is(tmp_path: Path, service: Service) -> None:
    """Quotation marks and other characters that a shell reads are part of the question."""
    question = "What's \"rain\" & 'snow'; `id` (now)?"
    made = embed(tmp_path, "out.jsonl", service, [{"inputs": text, "n": place} for place, text in enumerate(TEXTS)])
    built = ("-o", ".venv/installed", "-o", f"{INT8}/manifest.json")
    variables = (f"MODEL_DIR={INT8}", f"IN={made}", f"Q={question}", "K=2", "FORMAT=json", "FILTER=n=1")
    ran = subprocess.run(
        ["make", *built, "search", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    expected = Search(made, service).find(question, 2, Filter("n", "1"))
    assert json.loads(ran.stdout) == [
        {"id": each.id, "score": pytest.approx(each.score), "metadata": {"n": 1}} for each in expected
    ]


REFUSED = [
    (["", "a"], 'IN and Q must be given, as in `make search IN=vectors.parquet Q="Is it raining?"`.'),
    (["a.parquet", " "], 'IN and Q must be given, as in `make search IN=vectors.parquet Q="Is it raining?"`.'),
    (["a.csv", "a"], "IN must end in .jsonl or .parquet. Given: a.csv."),
    (["a.jsonl", "a"], "IN must be a file that `make embed` wrote. Given: a.jsonl, which is not there."),
    (["a.jsonl", "a", "--count", "0"], "K must be a whole number from 1 to 1000. Given: 0."),
    (["a.jsonl", "a", "--count", "ten"], "K must be a whole number from 1 to 1000. Given: ten."),
    (["a.jsonl", "a", "--format", "xml"], "FORMAT must be text or json. Given: xml."),
    (["a.jsonl", "a", "--filter", "lang"], "FILTER must be field=value, as in FILTER=lang=en. Given: lang."),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_a_command_that_cannot_be_done_is_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    """The last line is the sentence."""
    ran = search(*arguments)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == sentence


CONTENTS = [
    ("a.parquet", b"PAR1 and no more", "is not a file of vectors that `make embed` wrote: Parquet"),
    ("a.jsonl", b"none\n", "wrote: the line at byte 0 is not an object with id, embedding, metadata"),
    ("a.jsonl", b'{"id": "a", "embedding": [0.5]}\n', "wrote: the line at byte 0 is not an object with id, embedding, metadata"),
    (
        "a.jsonl",
        b'{"id": "a", "embedding": ["x"], "metadata": {}}\n',
        "wrote: one of the 1 lines from byte 0 on has a vector with other",
    ),
    (
        "a.jsonl",
        b'{"id": "a", "embedding": [1.5, 2, 3, 4, 5], "metadata": {}}\n',
        "which sentence-transformers/all-MiniLM-L6-v2 does not",
    ),
]


@pytest.mark.parametrize(("name", "content", "reason"), CONTENTS, ids=[reason for _, _, reason in CONTENTS])
def test_a_file_with_other_content_is_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    """The sentence says what the file lacks."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        Search(path, fake()).find("a", 1)
    assert str(refused.value).startswith(f"{path} ")
    assert reason in str(refused.value)


def test_columns_that_are_missing_or_have_another_type_are_refused(tmp_path: Path) -> None:
    """Any Parquet file can be named by mistake."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(Refused, match="it has no column embedding and no column metadata"):
        Search(path, fake())
    pq.write_table(pa.table({"id": ["a"], "embedding": ["b"], "metadata": ["{}"]}), path)
    with pytest.raises(Refused, match="its column embedding is of the type string, not a list of float32, int8 or uint8"):
        Search(path, fake())


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_vectors_of_different_lengths_are_refused(tmp_path: Path, out: str, service: Service) -> None:
    """A record can ask for fewer dimensions than the others."""
    records = [{"inputs": text} for text in TEXTS] + [{"inputs": "a", "dimensions": 8}]
    made = embed(tmp_path, out, service, records)
    with pytest.raises(Refused) as refused:
        Search(made, service).find(QUESTION, 1)
    assert f"{made} has vectors of different lengths: the first has 384 numbers, the one " in str(refused.value)
    assert "has 8. A search needs vectors of one length" in str(refused.value)


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_vectors_of_fewer_dimensions_are_compared_with_a_query_of_as_many(tmp_path: Path, out: str, service: Service) -> None:
    """All records ask for them."""
    made = embed(tmp_path, out, service, [{"inputs": text, "dimensions": 64} for text in TEXTS])
    vectors = service.embed(TEXTS, Options(dimensions=64)).vectors
    query = service.embed([QUESTION], Options(dimensions=64)).vectors[0]
    assert Search(made, service).find(QUESTION, 1)[0].score == pytest.approx(float(max(vectors @ query)), abs=1e-5)


def test_vectors_of_another_model_are_refused_by_name(tmp_path: Path, service: Service, exact_service: Service) -> None:
    """The file says whose vectors it has. One of an earlier version says nothing, and is searched."""
    made = embed(tmp_path, "out.parquet", service, [{"inputs": text} for text in TEXTS])
    properties = pq.read_metadata(made).metadata
    assert {name.decode(): value.decode() for name, value in properties.items()} == {
        MODEL: "sentence-transformers/all-MiniLM-L6-v2",
        FINGERPRINT: service.manifest.fingerprint,
        PRECISION: "int8",
        TYPE: "float32",
    }
    with pytest.raises(Refused) as refused:
        Search(made, exact_service)
    assert str(refused.value) == (
        f"{made} has vectors of sentence-transformers/all-MiniLM-L6-v2 (int8, fingerprint {service.manifest.fingerprint[:12]}…), "
        f"but MODEL_DIR has sentence-transformers/all-MiniLM-L6-v2 (fp32, fingerprint {exact_service.manifest.fingerprint[:12]}…). "
        "Set MODEL_DIR to the file's model, or embed again"
    )
    earlier = tmp_path / "earlier.parquet"
    pq.write_table(pq.read_table(made).replace_schema_metadata(None), earlier)
    assert len(Search(earlier, exact_service).find(QUESTION, 3)) == 3


@pytest.mark.parametrize("name", TYPES)
def test_a_file_that_another_program_wrote_again_has_the_same_results(tmp_path: Path, name: str, service: Service) -> None:
    """Its pages are compressed and laid out in another way."""
    typed = serve(INT8, OUTPUT_DTYPE=name)
    made = embed(tmp_path, "out.parquet", typed, [{"id": text, "inputs": text, "words": len(text.split())} for text in TEXTS * 3])
    again = tmp_path / "again.parquet"
    pq.write_table(pq.read_table(made), again, compression="zstd", row_group_size=7)
    for condition in (None, Filter("words", "3")):
        found = Search(made, service).find(QUESTION, 10, condition)
        assert Search(again, service).find(QUESTION, 10, condition) == found
        assert len(found) == (10 if condition is None else 3)


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_a_file_without_vectors_has_no_results(tmp_path: Path, out: str) -> None:
    """It is no error."""
    made = embed(tmp_path, out, fake(), [])
    assert Search(made, fake()).find("a", 5) == []
    assert FORMATS["text"]([]) == "Nothing was found."
    assert FORMATS["json"]([]) == "[]"


@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl"])
def test_equal_scores_keep_the_order_of_the_file(tmp_path: Path, out: str, service: Service) -> None:
    """The same text is in several parts of the file, at the end of one and in the middle of another."""
    made = embed(tmp_path, out, service, [{"id": str(place), "inputs": TEXTS[place % 3]} for place in range(17)])
    found = Search(made, service).find(TEXTS[1], 17)
    assert [each.id for each in found[:6]] == ["1", "4", "7", "10", "13", "16"]
    assert len({each.score for each in found}) == 3
    assert found[:4] == Search(made, service).find(TEXTS[1], 4)


def test_the_question_gets_the_models_prompt_for_queries(tmp_path: Path) -> None:
    """The prompt has the name that this kind of model gives it."""
    manifest = json.loads((INT8 / "manifest.json").read_text())
    for file in INT8.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"prompts": {"search_query": "The weather: ", "passage": ""}}))
    prompted = serve(tmp_path)
    made = embed(tmp_path, "out.jsonl", prompted, [{"inputs": text, "prompt_name": "passage"} for text in TEXTS])
    (best,) = Search(made, prompted).find("rain", 1)
    query = prompted.embed(["rain"], Options(prompt_name="search_query")).vectors[0]
    vectors = prompted.embed(TEXTS, Options(prompt_name="passage")).vectors
    assert best.score == pytest.approx(float(max(vectors @ query)), abs=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_scores_are_by_the_models_own_similarity(tmp_path: Path, similarity: str) -> None:
    """Vectors are not of length 1 here. Of distances, the negative is the score."""
    service = fake(similarity=similarity)
    made = embed(tmp_path, "out.parquet", service, [{"id": text, "inputs": text} for text in TEXTS])
    query = vector_of(QUESTION).astype(np.float64)
    scores = {
        "cosine": lambda vector: vector @ query / np.linalg.norm(vector) / np.linalg.norm(query),
        "dot": lambda vector: vector @ query,
        "euclidean": lambda vector: -np.linalg.norm(vector - query),
        "manhattan": lambda vector: -np.abs(vector - query).sum(),
    }
    expected = {text: float(scores[similarity](vector_of(text).astype(np.float64))) for text in TEXTS}
    found = Search(made, service).find(QUESTION, len(TEXTS))
    assert [each.id for each in found] == sorted(TEXTS, key=lambda text: -expected[text])
    assert [each.score for each in found] == pytest.approx([expected[each.id] for each in found], rel=1e-5)


def test_a_passage_cannot_control_the_terminal() -> None:
    """Long passages are shortened, and characters that are not printed become spaces."""
    found = Found("a\x1b[2J", np.float32(0.5), {"text": "red\x1b[31m\n\n text " + "word " * 300})
    text = FORMATS["text"]([found])
    assert "\x1b" not in text
    assert text.startswith("1.  0.5000  a [2J\n   red [31m text word")
    assert text.endswith("…")
    assert len(text) < 750
