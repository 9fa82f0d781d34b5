"""Every family of cross-encoders gives the scores of the official library, which oracle/cross_encoders.py computed."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.bootstrap import load_service
from handler.config import KERNELS
from handler.embedding.cross_encoder import CrossEncoder
from handler.embedding.manifest import Manifest
from handler.embedding.pairs import PairTokenization, kept
from handler.embedding.tokenization import Tokenization
from handler.errors import Backend
from handler.reranking import rank
from handler.service import Options, Service
from layers.model.builder import Order, build
from layers.model.classifier import OWN_ACTIVATIONS
from layers.model.configuration import Unsupported
from layers.model.cross_encoders import ACTIVATIONS, CLASSIFIERS
from layers.model.fidelity import ScoreFidelity
from layers.model.graph import Graph
from layers.model.networks import EXACT
from layers.model.overrides import Overrides
from layers.model.precision import PRECISIONS
from layers.model.samples import Pairs
from layers.model.sources import Source
from tests.conftest import INT8, ROOT
from tests.layers.model import references
from tests.layers.model.references import RERANKERS

NAMES = sorted(path.stem for path in RERANKERS.glob("*.json"))
FAMILIES = ["bert", "camembert", "distilbert", "electra", "gte", "modernbert", "mpnet", "new", "roberta", "xlm-roberta"]
TANGENT = OWN_ACTIVATIONS["tanh"]
BOUNDS = (0.985, -1.0)
"""The least correlation of int8 with float32. Tiny random models lose more than trained ones; below it, steps are finer."""
LARGEST_DIFFERENCE = 1e-5
"""Of a score before any activation. These scores are between -4.5 and 4.6; the largest difference that was found is 4.6e-6."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which each reference model is built once."""
    return tmp_path_factory.mktemp("rerankers")


@cache
def built(name: str, folder: Path, precision: str = "fp32") -> Path:
    """Build a reference model and return its folder."""
    out = folder / f"{name}-{precision}"
    source = Source(references.write(name, folder / "sources" / name, RERANKERS), name, "1")
    build(Order(source, out, precision, BOUNDS if precision == "int8" else (0, -1), threads=1, passages=20), lambda _: None)
    return out


@cache
def served(reranker: Path) -> Service:
    """Return a service that has this reranker."""
    return load_service({"MODEL_DIR": str(INT8), "RERANKER_DIR": str(reranker), "THREADS": "1"})


def scores(reranker: Path, row: dict[str, Any], *, raw: bool) -> float:
    """Return the score of one pair."""
    options = Options(truncation_direction=row["side"])
    return float(rank(served(reranker), row["query"], [row["document"]], options, raw_scores=raw).scores[0])


CASES = [
    pytest.param(name, row, id=f"{name}-{row['side']}-{row['query'][:9]}-{row['document'][:9]}-{place}")
    for name in NAMES
    for place, row in enumerate(references.load(name, RERANKERS)["rows"])
]


@pytest.mark.parametrize(("name", "row"), CASES)
def test_a_pair_has_the_score_that_the_official_library_gives(name: str, row: dict[str, Any], folder: Path) -> None:
    """The manifest names the function of the library. `raw_scores` asks for the identity; otherwise a score is a sigmoid."""
    reranker = built(name, folder)
    raw = scores(reranker, row, raw=True)
    assert raw == pytest.approx(row["raw"], abs=LARGEST_DIFFERENCE)
    predicted = raw if Manifest.read(reranker).activation == "identity" else scores(reranker, row, raw=False)
    assert predicted == pytest.approx(row["score"], abs=LARGEST_DIFFERENCE)


def test_the_references_have_every_family_and_every_activation() -> None:
    """A row of a table without a reference would be a guess."""
    assert set(FAMILIES) == set(CLASSIFIERS)
    assert {"identity", "sigmoid"} == set(ACTIVATIONS.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_an_int8_cross_encoder_is_portable_and_the_same_bytes_twice(name: str, folder: Path) -> None:
    """Tiny random models lose more than trained ones: their scores are between -4.5 and 4.6."""
    first = built(name, folder, "int8")
    source = Source(folder / "sources" / name, name, "1")
    manifest = build(Order(source, folder / f"{name}-again", "int8", BOUNDS, threads=2, passages=20), lambda _: None)
    files = sorted(path.name for path in first.iterdir())
    assert all((first / file).read_bytes() == (folder / f"{name}-again" / file).read_bytes() for file in files)
    assert (manifest.portable, manifest.dimension, manifest.ranges) == (True, 1, {})
    assert manifest.fidelity.keys() >= {"correlation", "rank_correlation", "top_10_agreement", "maximum_difference", "bounds"}
    for row in references.load(name, RERANKERS)["rows"]:
        assert scores(first, row, raw=True) == pytest.approx(row["raw"], abs=0.4)


@pytest.mark.parametrize("precision", ["fp16", "int4"])
@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_cross_encoder_is_written_in_every_precision(name: str, precision: str, folder: Path) -> None:
    """Four bits are too few for tiny random models; the figures of their builds are there all the same."""
    manifest = Manifest.read(built(name, folder, precision))
    assert manifest.fidelity["pairs"] == 20
    assert manifest.fidelity["correlation"] > (0.9999 if precision == "fp16" else 0.5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_every_set_of_kernels_gives_the_same_bits(kernels: str, folder: Path) -> None:
    """That holds for pairs of the same length in one run, on one thread and on three, as well."""
    reranker = built("bert", folder, "int8")
    manifest = Manifest.read(reranker)
    pairs = Pairs(Tokenization(reranker, manifest.max_length), "").scoring(60)
    expected = [CrossEncoder(reranker, manifest, 1).score([pair]) for pair in pairs]
    try:
        encoders = [CrossEncoder(reranker, manifest, threads, kernels) for threads in (1, 3)]
    except Backend as refusal:
        assert "cannot be used with KERNELS" in str(refusal)  # noqa: PT017 - this processor lacks the instructions
        return
    for encoder in encoders:
        assert np.array_equal(encoder.score(pairs), np.concatenate(expected))


def test_a_cross_encoder_below_its_bounds_is_not_written(tmp_path: Path) -> None:
    """The sentence says how the scores and their ranks correlate."""
    source = Source(references.write("bert", tmp_path / "source", RERANKERS), "tiny", "1")
    sentence = (
        r"^tiny as int4 is not faithful enough: its scores correlate with those of fp32 by 0\.\d+ \(at least 0\.9999\), their"
    )
    with pytest.raises(Unsupported, match=sentence):
        build(Order(source, tmp_path / "model", "int4", (0.9999, 0.9999), threads=1, passages=20), lambda _: None)
    assert not (tmp_path / "model").exists()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "labels": (
        {"id2label": {"0": "a", "1": "b", "2": "c"}, "sentence_transformers": {"activation_fn": "torch.nn.Identity"}},
        "config.json describes a cross-encoder of 3 labels, and a reranker has one: take a model of one label",
    ),
    "activation": (
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}},
        "the cross-encoder's activation_fn is torch.nn.modules.activation.Tanh; this builder knows Sigmoid and Identity",
    ),
    "family": ({"model_type": "qwen3"}, "config.json says model_type is 'qwen3'; this builder knows"),
    "field": (
        {"sentence_transformers": {"new": 1}},
        "config.json's sentence_transformers says new is 1; this builder does not",
    ),
    "types": ({"type_vocab_size": 1}, "config.json says type_vocab_size is 1; the tokens of a pair have two types"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_cross_encoder_that_cannot_be_served_exactly_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """Nothing is guessed."""
    changes, sentence = REFUSED[name]
    folder = references.write("bert", tmp_path / "source", RERANKERS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(Unsupported) as refusal:
        build(Order(Source(folder, name, "1"), tmp_path / "model", "fp32", None, 1, 20), lambda _: None)
    assert str(refusal.value).startswith(sentence)


def test_an_activation_of_another_package_counts_as_a_sigmoid(tmp_path: Path) -> None:
    """The library does not load it, and takes its default."""
    folder = references.write("bert", tmp_path / "source", RERANKERS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sbert_ce_default_activation_function": "other.Identity"}))
    assert build(Order(Source(folder, "x", "1"), tmp_path / "model", "fp32", None, 1, 20), lambda _: None).activation == "sigmoid"


@pytest.mark.parametrize("overrides", [{"pooling": "mean"}, {"normalize": True}, {"task": "x"}])
def test_settings_of_vectors_are_refused_for_a_cross_encoder(overrides: dict[str, Any], tmp_path: Path) -> None:
    """MAX_LENGTH is the one that it has."""
    source = Source(references.write("bert", tmp_path / "source", RERANKERS), "x", "1")
    with pytest.raises(Unsupported, match=rf"leave out {next(iter(overrides)).upper()}$"):
        build(Order(source, tmp_path / "model", "fp32", None, 1, 20, Overrides(**overrides)), lambda _: None)


def test_max_length_shortens_pairs(tmp_path: Path) -> None:
    """Three of nine tokens are special ones."""
    source = Source(references.write("bert", tmp_path / "source", RERANKERS), "x", "1")
    manifest = build(Order(source, tmp_path / "model", "fp32", None, 1, 20, Overrides(max_length=9)), lambda _: None)
    pairs = PairTokenization(Tokenization(tmp_path / "model", manifest.max_length))
    (pair,) = pairs.tokenize("a b c d e", ["a b c d e f g h"], "right")
    assert (len(pair), pair.total, pair.truncated) == (9, 16, True)
    assert pair.tokens[1].tolist() == [0] * 5 + [1] * 4


@settings(max_examples=300, deadline=None)
@given(first=st.integers(0, 40), second=st.integers(0, 40), room=st.integers(2, 30))
def test_the_longer_text_of_a_pair_is_truncated_first(first: int, second: int, room: int) -> None:
    """Tokens are taken one by one from the longer text; of two equal ones, from the first until both have an equal share."""
    one, two = kept(first, second, room)
    assert one + two == min(first + second, room)
    assert one <= first
    assert two <= second
    assert one == first or two == second or abs(one - two) <= 1
    if one < first:
        assert one + 1 >= two
    if two < second:
        assert two + 1 >= one


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=20))
def test_the_written_tangent_is_the_mathematical_one(values: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is made of additions and divisions, which every processor rounds in the same way: within four units of the last place."""
    graph, place = Graph(), tmp_path_factory.mktemp("tangent")
    numbers = graph.constant("numbers", np.array(values, np.float32))
    graph.op("result", "Identity", TANGENT(graph, "tangent", numbers))
    graph.output("result", [len(values)])
    graph.write(place / "model.onnx", "weights")
    (found,) = onnxruntime.InferenceSession(place / "model.onnx").run(None, {})
    expected = np.tanh(np.array(values, np.float64))
    np.testing.assert_allclose(found, expected, rtol=4.8e-7, atol=1e-30)


def test_the_readme_has_the_bounds_of_scores_and_every_family() -> None:
    """They are those of the tables."""
    section = (ROOT / "layers/model/README.md").read_text().partition("\n## Rerankers\n")[2].partition("\n## ")[0]
    words = " ".join(section.split())
    measured = {name: traits.scores for name, traits in PRECISIONS.items() if name != EXACT}
    assert [name for name, (scores, ranks) in measured.items() if f"{name} {scores} and {ranks}" not in words] == []
    names = {"bert": "BERT", "distilbert": "DistilBERT", "mpnet": "MPNet", "roberta": "RoBERTa"}
    names |= {
        "xlm-roberta": "XLM-RoBERTa",
        "camembert": "CamemBERT",
        "electra": "ELECTRA",
        "modernbert": "ModernBERT",
        "gte": "GTE",
        "new": "GTE",
    }
    assert all(re.search(rf"\b{names[family]}\b", section) for family in CLASSIFIERS)


def test_fidelity_compares_scores_ranks_and_the_ten_best() -> None:
    """Ranks are compared query by query. Equal scores share the mean of their ranks."""
    exact = np.arange(24, dtype=np.float32)
    same = ScoreFidelity.of(exact, exact, 12)
    assert (same.correlation, same.rank_correlation, same.top_10_agreement, same.maximum_difference) == (1, 1, 1, 0)
    reversed_in_one = np.concatenate([exact[:12][::-1], exact[12:]])
    found = ScoreFidelity.of(reversed_in_one, exact, 12)
    assert (found.pairs, found.rank_correlation, found.top_10_agreement) == (24, 0, 0.9)
    assert (found.maximum_difference, found.mean_difference) == (11, 3)
    tied = ScoreFidelity.of(np.array([0, 0, 2, 3], np.float32), np.array([0, 1, 2, 3], np.float32), 4)
    assert tied.rank_correlation == pytest.approx(0.948683, abs=1e-6)
