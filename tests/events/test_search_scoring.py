"""The best of all scores are found whatever the batches, and conditions choose records by their metadata."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.search.filters import Filter
from events.search.pages import PageReader
from events.search.parquet import NUMBERS, ParquetVectors
from events.search.scoring import BLOCK, Best, Scorer
from handler.encoding import to_json
from handler.sinks.parquet import MAGIC, Row, write_file, write_footer, write_row_group
from handler.vector_types import NO_RANGES

SCORES = st.one_of(st.sampled_from([-1.0, 0.0, -0.0, 0.5, float("nan"), float("inf")]), st.floats(width=32))


def ranking(scores: Sequence[float], count: int) -> list[int]:
    """Return the places of the best scores by sorting all of them; Python's sort keeps the order of equal ones."""
    return sorted((place for place, score in enumerate(scores) if score == score), key=lambda place: -scores[place])[:count]  # noqa: PLR0124


@given(
    scores=st.lists(SCORES, max_size=200), count=st.integers(1, 20), cuts=st.lists(st.integers(0, 200), max_size=5), data=st.data()
)
def test_the_best_are_those_of_sorting_everything(scores: list[float], count: int, cuts: list[int], data: st.DataObject) -> None:
    """The scores come in batches, from several threads, in any order."""
    edges = [0, *sorted(min(cut, len(scores)) for cut in cuts), len(scores)]
    batches = [(edges[number], edges[number + 1]) for number in range(len(edges) - 1)]
    threads = [Best(count), Best(count)]
    for start, end in data.draw(st.permutations(batches)):
        threads[data.draw(st.integers(0, 1))].add(np.array(scores[start:end], np.float32), np.arange(start, end))
    best = Best(count)
    for each in threads:
        best.add(each.scores, each.places)
    assert best.places.tolist() == ranking(scores, count)
    assert best.scores.tolist() == [scores[place] for place in ranking(scores, count)]


def write(path: Path, groups: Sequence[np.ndarray[Any, Any]]) -> None:
    """Write a file as `make embed` does, with a row group for each array. The metadata is the row's remainder by three."""
    content, entries, row = MAGIC, [], 0
    for vectors in groups:
        name = vectors.dtype.name
        rows = [
            Row(b"%d" % (row + at), each, 1, truncated=False, metadata=b'{"rest":%d}' % ((row + at) % 3))
            for at, each in enumerate(vectors)
        ]
        body, entry = write_row_group(rows, len(content), name)
        content += body
        entries.append(entry)
        row += len(rows)
    path.write_bytes(content + write_footer(entries, groups[0].dtype.name))


@settings(max_examples=50)
@given(
    numbers=st.sampled_from(["float32", "int8", "uint8"]),
    size=st.integers(1, 40),
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    parts=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_every_vector_of_a_file_is_read_once_with_its_record(
    numbers: str, size: int, counts: list[int], parts: int, seed: int
) -> None:
    """Vectors of any size, in row groups of any size, read by any number of threads, with and without a condition."""
    generator = np.random.default_rng(seed)
    groups = [generator.integers(0, 100, (count, size)).astype(numbers) for count in counts]
    everything = np.concatenate(groups)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        write(path, groups)
        file = ParquetVectors(path)
        assert (file.size, file.numbers) == (size, numbers)
        for condition in (None, Filter("rest", "1")):
            seen = []
            for part in file.read(parts, condition):
                for batch in part:
                    assert np.array_equal(batch.numbers, everything[batch.places])
                    seen += batch.places.tolist()
            assert sorted(seen) == [place for place in range(len(everything)) if condition is None or place % 3 == 1]
        assert [file.record(place) for place in range(len(everything))] == [
            (str(place), {"rest": place % 3}) for place in range(len(everything))
        ]


@pytest.mark.parametrize("numbers", ["float32", "int8", "uint8"])
def test_the_numbers_of_our_own_files_are_read_without_decoding_and_those_of_others_are_not(tmp_path: Path, numbers: str) -> None:
    """Decoding takes several times as long. Lists of different lengths, and other programs' pages, must be decoded."""
    vectors = np.random.default_rng(1).integers(0, 100, (9, 16)).astype(numbers)
    ours, others, ragged = (tmp_path / name for name in ("ours.parquet", "others.parquet", "ragged.parquet"))
    write(ours, [vectors])
    pq.write_table(pq.read_table(ours), others)
    rows = [
        Row(b"a", vector, 1, truncated=False, metadata=b"{}")
        for vector in (*vectors[:7], vectors[7][:8], np.tile(vectors[8], 2)[:24])
    ]
    ragged.write_bytes(write_file(rows, numbers))
    for path, is_read in ((ours, True), (others, False), (ragged, False)):
        column = next(c for n in range(5) if (c := pq.read_metadata(path).row_group(0).column(n)).path_in_schema == NUMBERS)
        with path.open("rb", buffering=0) as file:
            read = PageReader(file, numbers, 16).read(column, 9)
        assert (read is not None) == is_read
        assert read is None or np.array_equal(read, vectors)


def test_a_vector_has_the_same_score_at_every_place_of_a_file() -> None:
    """Blocks end in the middle of a batch, and the vectors of a last block are few."""
    generator = np.random.default_rng(1)
    vector, query = generator.standard_normal((2, 384), np.float32)
    for similarity in ("cosine", "dot", "euclidean", "manhattan"):
        scorer = Scorer(query, similarity, "float32", NO_RANGES)
        scores = scorer.score(np.tile(vector, (2 * BLOCK + 3, 1)))
        assert len(set(scores.tolist())) == 1
        assert scorer.score(vector[None]).tolist() == scores[:1].tolist()


METADATA = {"lang": "en", "year": 2024, "draft": False, "note": None, "tags": ["a", 7], "share": 0.5, "of": {"a": 1}}


@pytest.mark.parametrize(
    "text", ["lang=en", "year=2024", "draft=false", "note=null", "tags=a", "tags=7", "share=0.5", 'of={"a":1}']
)
def test_a_condition_holds_for_a_value_as_text_or_as_json(text: str) -> None:
    """A command line has no types. A list fulfils it with one of its values."""
    assert Filter.parse(text).accepts(METADATA)


@pytest.mark.parametrize("text", ["lang=de", "lang=e", "lang=", "year=2025", "draft=False", "note=", "tags=b", "other=en"])
def test_a_condition_fails_for_another_value_or_a_missing_field(text: str) -> None:
    """Nothing is matched in part."""
    assert not Filter.parse(text).accepts(METADATA)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: "=" not in name), st.text(), min_size=1))
def test_a_condition_on_any_text_finds_it(metadata: dict[str, str]) -> None:
    """The value may have equals signs."""
    for field, value in metadata.items():
        assert Filter.parse(f"{field}={value}").accepts(json.loads(json.dumps(metadata)))


VALUES = st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(st.one_of(VALUES, st.lists(VALUES, max_size=2)), min_size=1, max_size=9), st.data())
def test_a_file_yields_the_records_that_fulfil_a_condition_and_no_others(values: list[object], data: st.DataObject) -> None:
    """A search for the value's text skips most metadata before they are parsed, and may skip none that fulfil the condition."""
    rows = [Row(b"a", np.zeros(2, np.float32), 1, truncated=False, metadata=to_json({"field": value})) for value in values]
    sought = data.draw(st.sampled_from(values))
    sought = data.draw(st.sampled_from(sought)) if isinstance(sought, list) and sought else sought
    condition = Filter("field", sought if isinstance(sought, str) else to_json(sought).decode())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        path.write_bytes(write_file(rows))
        file = ParquetVectors(path)
        read = [place for part in file.read(1, condition) for batch in part for place in batch.places.tolist()]
        assert read == [place for place in range(len(values)) if condition.accepts(file.record(place)[1])]
