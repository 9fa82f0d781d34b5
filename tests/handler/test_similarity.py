"""The table of similarity functions, against the names that a model may have and their definitions."""

import numpy as np
import pytest

from handler.similarity import FUNCTIONS
from layers.model.specification import SIMILARITIES

GENERATOR = np.random.default_rng(7)
SOURCE, OTHERS = GENERATOR.normal(size=8).astype(np.float32), GENERATOR.normal(size=(5, 8)).astype(np.float32)
EXPECTED = {
    "cosine": lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    "dot": lambda a, b: a @ b,
    "euclidean": lambda a, b: -np.linalg.norm(a - b),
    "manhattan": lambda a, b: -np.linalg.norm(a - b, ord=1),
}


def test_every_similarity_function_that_the_builder_accepts_is_served() -> None:
    """Otherwise a model would be built whose similarities fail in a request."""
    assert set(FUNCTIONS) == set(SIMILARITIES)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_a_similarity_is_that_of_its_definition(name: str) -> None:
    """The cosine is computed from vectors of the length 1, as a request for it embeds them."""
    source, others = SOURCE, OTHERS
    if name == "cosine":
        source, others = source / np.linalg.norm(source), others / np.linalg.norm(others, axis=1, keepdims=True)
    expected = [EXPECTED[name](SOURCE, other) for other in OTHERS]
    assert FUNCTIONS[name](source, others) == pytest.approx(expected, abs=1e-5)
