"""The default model gives the vectors that torch computed in float32 (all-MiniLM-L6-v2.json says how)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.service import Options, Service
from handler.vectors import Direction

GOLDEN = json.loads(Path(__file__).with_name("all-MiniLM-L6-v2.json").read_text())
REFERENCES: dict[str, Direction] = {"pooled": "right", "pooled_left": "left"}


def cosines(service: Service) -> Iterator[float]:
    """Yield the cosine to every reference, truncated on the right and on the left."""
    for row in GOLDEN["rows"]:
        for name in REFERENCES.keys() & row.keys():
            options = Options(normalize=False, truncation_direction=REFERENCES[name])
            ours, reference = service.embed([row["text"]], options).vectors[0], np.array(row[name])
            yield float(ours @ reference / np.linalg.norm(ours) / np.linalg.norm(reference))


def test_the_references_include_texts_that_are_cut_at_either_end() -> None:
    """Otherwise the tests below would not test truncation."""
    assert sum("pooled_left" in row for row in GOLDEN["rows"]) >= 2
    assert max(row["tokens"] for row in GOLDEN["rows"]) > GOLDEN["max_length"]


def test_the_fp32_model_agrees_with_every_reference(exact_service: Service) -> None:
    """Each cosine is at least 0.99999."""
    assert min(cosines(exact_service)) >= 0.99999


def test_the_int8_model_stays_close_to_the_references(service: Service) -> None:
    """The mean cosine is at least 0.997, and the smallest at least 0.985."""
    measured = list(cosines(service))
    assert np.mean(measured) >= 0.997
    assert min(measured) >= 0.985


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: row["text"][:30])
def test_a_text_has_the_tokens_that_the_reference_counted(service: Service, row: dict[str, Any]) -> None:
    """The tokenizer is the model's, and a truncated text counts the tokens that are left."""
    assert service.embed([row["text"]], Options()).tokens == min(row["tokens"], GOLDEN["max_length"])
