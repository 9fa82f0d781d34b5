"""Real models, which `make models` builds, give the official library's vectors (references.py made them with torch)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest

from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization
from handler.service import Options
from layers.model.networks import EXACT, Written
from layers.model.precision import PRECISIONS
from tests.benchmarks.results import MODELS, read
from tests.conftest import serve
from tests.golden import paraphrase_minilm
from tests.golden.build import TITLE, arguments
from tests.golden.models import CHECKED, SOURCES, CheckedModel


def test_all_checked_models_are_built_if_none_is_named() -> None:
    """A name builds that one alone."""
    names = [model.short for model in CHECKED]
    assert arguments([]).models == names
    assert arguments(names[1:2]).models == names[1:2]


CASES = [pytest.param(model, precision, id=f"{model.short}-{precision}") for model in CHECKED for precision in PRECISIONS]


def cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))


def cosines(model: CheckedModel, precision: str, rows: Sequence[dict[str, Any]]) -> Iterator[float]:
    """Yield the cosine of each text's vector to the library's."""
    if not (model.folder(precision) / "manifest.json").exists():
        pytest.skip("`make models` builds it")
    service = serve(model.folder(precision))
    for row in rows:
        (ours,) = service.embed([row["text"]], Options(truncation_direction=row["side"])).vectors
        yield cosine(ours, np.array(row["vector"]))


@pytest.mark.parametrize(("model", "precision"), CASES)
def test_a_text_has_the_official_librarys_vector_as_closely_as_the_precision_promises(model: CheckedModel, precision: str) -> None:
    """Float32 of every text; the others of ordinary texts: one word five hundred times falls to 0.65 as int8, 0.99997 as fp16."""
    rows = [row for row in model.references() if row["ordinary"] or precision == EXACT]
    found = list(cosines(model, precision, rows))
    assert len(found) >= 9
    assert min(found) >= model.least[precision], found


def test_the_committed_figures_are_of_every_checked_model_and_within_the_builders_bounds() -> None:
    """The table of layers/model/README.md shows them, in the order of the models and of the precisions."""
    order = [(model.short, precision) for model in CHECKED for precision in PRECISIONS]
    for section in read(MODELS).values():
        rows = {(row["model"], row["precision"]): row for row in section.tables[TITLE]}
        assert list(rows) == [place for place in order if place in rows]
        assert all((model.short, precision) in rows for model in CHECKED for precision in ("int8", "fp16", EXACT))
        for (_, precision), row in rows.items():
            mean, minimum = Written.bounds[precision]
            assert row["mean"] >= mean
            assert row["minimum"] >= minimum


@pytest.mark.parametrize("model", CHECKED, ids=lambda model: model.short)
def test_the_references_include_texts_truncated_at_either_end(model: CheckedModel) -> None:
    """Otherwise the tests above would not test truncation."""
    sides = {row["text"]: row["vector"] for row in model.references() if row["side"] == "left"}
    others = [row for row in model.references() if row["side"] == "right" and row["text"] in sides]
    assert any(row["ordinary"] for row in others)
    assert all(cosine(np.array(row["vector"]), np.array(sides[row["text"]])) < 0.999 for row in others)


def test_the_weights_put_back_give_the_vectors_of_the_file_they_came_from() -> None:
    """The ONNX file that the package of paraphrase-MiniLM-L3-v2 has, run as it is."""
    (model,) = (model for model in CHECKED if model.name == paraphrase_minilm.NAME)
    built = model.folder("fp32")
    if not (built / "manifest.json").exists():
        pytest.skip("`make models` builds it")
    session = onnxruntime.InferenceSession(paraphrase_minilm.exported(SOURCES, print))
    tokenization = Tokenization(built, Manifest.read(built).max_length)
    for row in model.references():
        (tokens,) = tokenization.tokenize([row["text"]], row["side"])
        ids = tokens.ids[np.newaxis]
        ((theirs,),) = session.run([paraphrase_minilm.POOLED], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert cosine(np.array(row["vector"]), theirs) >= 0.99999
