"""Every family of cross-encoders gives the scores of the official library, which oracle/cross_encoders.py computed."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from handler.bootstrap import load_service
from handler.embedding.manifest import Manifest
from handler.reranking import rank
from handler.service import Options, Service
from layers.model.builder import Order, build
from layers.model.cross_encoders import ACTIVATIONS, CLASSIFIERS
from layers.model.sources import Source
from tests.conftest import INT8
from tests.layers.model import references
from tests.layers.model.references import RERANKERS

NAMES = sorted(path.stem for path in RERANKERS.glob("*.json"))
FAMILIES = ["bert", "camembert", "distilbert", "mpnet", "roberta", "xlm-roberta"]
LARGEST_DIFFERENCE = 5e-6
"""Of a score before any activation. These scores are between -2.3 and 2; the largest difference that was found is 2.1e-6."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which each reference model is built once."""
    return tmp_path_factory.mktemp("rerankers")


@cache
def built(name: str, folder: Path, precision: str = "fp32") -> Path:
    """Build a reference model and return its folder."""
    out = folder / f"{name}-{precision}"
    source = Source(references.write(name, folder / "sources" / name, RERANKERS), name, "1")
    build(Order(source, out, precision, (0, -1), threads=1, passages=20), lambda _: None)
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
    """What the library applies is in the manifest: `raw_scores` asks for the identity, and otherwise a score is a sigmoid."""
    reranker = built(name, folder)
    raw = scores(reranker, row, raw=True)
    assert raw == pytest.approx(row["raw"], abs=LARGEST_DIFFERENCE)
    predicted = raw if Manifest.read(reranker).activation == "identity" else scores(reranker, row, raw=False)
    assert predicted == pytest.approx(row["score"], abs=LARGEST_DIFFERENCE)


def test_the_references_have_every_family_and_every_activation() -> None:
    """A row of a table without a reference would be a guess."""
    assert set(FAMILIES) == set(CLASSIFIERS)
    assert {"identity", "sigmoid"} == set(ACTIVATIONS.values())
