"""A model that pools one token computes only that token after its last attention, and its vectors keep every bit."""

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from handler.embedding.cross_encoder import CrossEncoder
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import GRAPH, WEIGHTS, Manifest, sha256
from handler.embedding.session import load
from handler.embedding.tokenization import Tokenization
from layers.model import needed_tokens
from layers.model.builder import Order, build
from layers.model.graph import Graph
from layers.model.needed_tokens import NEEDED_TOKENS
from layers.model.reference_layout import reference_digests
from layers.model.samples import Pairs
from layers.model.sources import Source
from tests.layers.model import references
from tests.layers.model.references import FOLDER, RERANKERS

FIRST, LAST = ["pooling-cls", "gte", "modernbert-biases"], ["pooling-lasttoken", "qwen3"]
OF_ALL = ["bert", "pooling-all", "without-prompt", "dense-of-tokens", "head"]
"""Models that pool the mean, in several ways or by weights, or that have modules before Pooling."""
SEQUENCES = [np.arange(5, 5 + tokens, dtype=np.int64) for tokens in (1, 2, 9, 2, 13)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which each reference model is built once."""
    return tmp_path_factory.mktemp("models")


@cache
def built(name: str, folder: Path, place: Path = FOLDER) -> Path:
    """Build a reference model as int8 and return its folder."""
    out = folder / f"{name}-{place.name}"
    source = Source(references.write(name, folder / "sources" / place.name / name, place), name, "1")
    build(Order(source, out, "int8", (-1, -1), threads=1, passages=12), lambda _: None)
    return out


def of_all_tokens(model: Path, out: Path) -> Path:
    """Copy a model, with a graph that computes all tokens, into the folder `out`."""
    shutil.copytree(model, out)
    graph = Graph.read(model / GRAPH)
    needed_tokens.remove(graph)
    graph.write(out / GRAPH, WEIGHTS)
    return out


def inputs(model: Path) -> set[str]:
    """Return the names of a graph's inputs."""
    return {given.name for given in onnx.load(model / GRAPH, load_external_data=False).graph.input}


@pytest.mark.parametrize("name", [*FIRST, *LAST])
def test_a_vector_has_the_bits_that_it_has_if_all_tokens_are_computed(name: str, folder: Path, tmp_path: Path) -> None:
    """The same is true of the vectors of tokens, before and after a pooled vector, and with texts of one token."""
    model = built(name, folder)
    manifest = Manifest.read(model)
    assert NEEDED_TOKENS in inputs(model)
    ours, whole = (Encoder(place, manifest, threads=2) for place in (model, of_all_tokens(model, tmp_path / "whole")))
    for _ in range(2):
        assert np.array_equal(ours.encode(SEQUENCES), whole.encode(SEQUENCES))
        pairs = zip(ours.encode_tokens(SEQUENCES), whole.encode_tokens(SEQUENCES), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(("name", "token"), [*((name, 0) for name in FIRST), *((name, -1) for name in LAST)])
def test_the_last_layer_computes_as_many_tokens_as_are_needed(name: str, token: int, folder: Path) -> None:
    """For a vector that is the first or the last one."""
    model = built(name, folder)
    session, _ = load(model, Manifest.read(model), "")
    ids = SEQUENCES[-1][np.newaxis]
    (every,) = session.run(["token_embeddings"], {"input_ids": ids, NEEDED_TOKENS: np.array([ids.shape[1]])})
    (one,) = session.run(["token_embeddings"], {"input_ids": ids, NEEDED_TOKENS: np.array([1])})
    assert every.shape[:2] == ids.shape
    assert one.shape[:2] == (1, 1)
    assert np.array_equal(one[0, 0], every[0, token])


@pytest.mark.parametrize("name", OF_ALL)
def test_all_tokens_are_computed_if_the_pool_needs_them(name: str, folder: Path) -> None:
    """The graph of such a model has no further input."""
    assert NEEDED_TOKENS not in inputs(built(name, folder))


@pytest.mark.parametrize("name", [*FIRST, *LAST])
def test_the_vectors_that_are_cached_of_an_older_build_stay_valid(name: str, folder: Path, tmp_path: Path) -> None:
    """The fingerprint is that of the graph that computes all tokens."""
    model = built(name, folder)
    whole = of_all_tokens(model, tmp_path / "whole")
    assert sha256(whole, GRAPH) != sha256(model, GRAPH)
    expected = reference_digests(whole, onnx.load(whole / GRAPH, load_external_data=False))
    assert Manifest.read(model).reference_files == expected


@pytest.mark.parametrize("name", ["bert", "roberta", "electra", "modernbert-cls"])
def test_a_cross_encoder_computes_the_token_that_it_classifies(name: str, folder: Path, tmp_path: Path) -> None:
    """A score has the bits that it has if all tokens are computed."""
    model = built(name, folder, RERANKERS)
    whole = of_all_tokens(model, tmp_path / "whole")
    assert sha256(whole, GRAPH) != sha256(model, GRAPH)
    manifest = Manifest.read(model)
    pairs = Pairs(Tokenization(model, manifest.max_length), "").scoring(20)
    found = [CrossEncoder(place, manifest, 2).score(pairs).tobytes() for place in (model, whole)]
    assert found[0] == found[1]
