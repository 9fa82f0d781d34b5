"""Every family and every rule gives the vectors of the official library, which the oracle package computed."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from handler.embedding.manifest import GRAPH, WEIGHTS, Manifest
from handler.service import Options, Service
from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.conftest import serve
from tests.layers.model import references

LEAST_COSINE = 0.99999
STATIC = ("static", "model2vec-vocabulary")
"""Static models: one of Sentence Transformers, and one of Model2Vec whose tokens share rows."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which each reference model is built once."""
    return tmp_path_factory.mktemp("references")


SOME = ["distilbert", "mpnet", "roberta", "xlm-roberta", "without-prompt-dense"]


@pytest.mark.parametrize("name", [*SOME, *STATIC, *references.FAMILIES])
def test_an_int8_build_is_the_same_bytes_twice_and_close_to_the_exact_one(name: str, folder: Path) -> None:
    """That holds for every family. Tiny random models lose more than trained ones."""
    source = Source(references.write(name, folder / "int8" / name), name, "1")
    outs = [folder / "int8" / f"{name}-{turn}" for turn in range(2)]
    for out in outs:
        build(Order(source, out, "int8", (0.98, 0.9), threads=1, passages=50), lambda _: None)
    names = sorted(path.name for path in outs[0].iterdir())
    assert all((outs[0] / file).read_bytes() == (outs[1] / file).read_bytes() for file in names)


SHORT = ["electra", "nomic", "qwen3", "modernbert", "gte", "gemma3", "jina", "eurobert"]
"""A model of each family whose texts are short, so that fitting 4 bits is fast."""
BERTS = ["bert", "distilbert", "mpnet", "roberta", "xlm-roberta", "dense", "without-prompt-dense"]


@pytest.mark.parametrize(
    ("name", "precision", "bounds"),
    [
        *((name, "fp16", None) for name in (*BERTS, *SHORT)),
        *((name, "int4", (0.95, 0.8)) for name in BERTS),
        *((name, "int4", (0.9, 0.7)) for name in SHORT),
    ],
)
def test_every_architecture_is_written_in_every_precision(
    name: str, precision: str, bounds: tuple[float, float] | None, folder: Path
) -> None:
    """Float16 keeps its bounds. 4 bits give the same bytes twice, within wider bounds than those of trained models."""
    source = Source(references.write(name, folder / precision / name), name, "1")
    outs = [folder / precision / f"{name}-{turn}" for turn in range(2)]
    one, two = (build(Order(source, out, precision, bounds, threads=1, passages=50), lambda _: None) for out in outs)
    assert (one, one.precision) == (two, precision)
    assert one.fidelity["bounds"] == list(bounds or (0.999999, 0.999999))


@pytest.mark.parametrize("name", references.FAMILIES)
def test_an_int8_model_is_close_to_the_official_library_on_every_text(name: str, folder: Path) -> None:
    """With prompts, truncated on either side. Tiny random models lose more than trained ones: on average at most 0.01 here."""
    source = Source(references.write(name, folder / "close" / name), name, "1")
    build(Order(source, folder / "close" / f"{name}-int8", "int8", (0.99, 0.9), threads=1, passages=20), lambda _: None)
    service, cosines = serve(folder / "close" / f"{name}-int8", THREADS="1"), []
    for row in references.load(name)["rows"]:
        options = Options(prompt_name=row["prompt_name"], truncation_direction=row["side"])
        ours, theirs = service.embed([row["text"]], options).vectors[0].astype(np.float64), np.array(row["vector"])
        cosines.append(ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs)))
    assert np.mean(cosines) >= 0.99
    assert min(cosines) >= 0.9


def test_an_int8_model_below_its_bounds_gets_finer_steps_and_is_measured_again(folder: Path) -> None:
    """Nothing else changes in its files, and the manifest has the second measurement."""
    source, built, told = Source(references.write("gte", folder / "finer" / "gte"), "gte", "1"), [], list[str]()
    for bounds, out in (((-1.0, -1.0), folder / "finer" / "coarse"), ((0.998, 0.9), folder / "finer" / "fine")):
        built.append(build(Order(source, out, "int8", bounds, threads=1, passages=100), told.append))
        assert Manifest.read(out) == built[-1]
        steps = {
            whole(node, "fine") for node in onnx.load(out / GRAPH, load_external_data=False).graph.node if node.op_type == "Linear"
        }
        assert steps == {int(out.name == "fine")}
    coarse, fine = built
    assert coarse.fidelity["mean_cosine"] < 0.998 <= fine.fidelity["mean_cosine"]
    assert sum("finer steps" in sentence for sentence in told) == 1
    assert coarse.files[WEIGHTS] == fine.files[WEIGHTS]
    assert coarse.fingerprint != fine.fingerprint


def whole(node: onnx.NodeProto, name: str) -> int:
    """Return a node's attribute; 0 where it has none."""
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)


@cache
def served(name: str, folder: Path) -> Service:
    """Return the service of a reference model that is built in float32."""
    out = folder / name
    source = Source(references.write(name, folder / "sources" / name), name, "1")
    build(Order(source, out, "fp32", None, threads=1, passages=20), lambda _: None)
    return serve(out, THREADS="1")


CASES = [
    pytest.param(name, row, id=f"{name}-{row['side']}-{row['prompt_name']}-{row['text'][:12]}")
    for name in references.NAMES
    for row in references.load(name)["rows"]
]


@pytest.mark.parametrize(("name", "row"), CASES)
def test_a_text_has_the_vector_that_the_official_library_gives(name: str, row: dict[str, Any], folder: Path) -> None:
    """The cosine is at least 0.99999, and the length is the same."""
    normalize = references.load(name)["normalized"]
    options = Options(prompt_name=row["prompt_name"], truncation_direction=row["side"], normalize=normalize)
    ours, theirs = served(name, folder).embed([row["text"]], options).vectors[0].astype(np.float64), np.array(row["vector"])
    lengths = np.linalg.norm(ours), np.linalg.norm(theirs)
    assert ours @ theirs >= LEAST_COSINE * lengths[0] * lengths[1]  # a static model has a vector of zeros for a text without tokens
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)
