"""Fixtures of the search: an AWS whose S3 Vectors answers queries, and indexes in it."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from events.aws import LocalAWS
from tests.search.indexes import LocalIndex, create_index
from tests.search.vectors_front import VectorsFront


@pytest.fixture
def front(aws_server: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[VectorsFront]:
    """Provide an AWS whose S3 Vectors answers queries, and let this test's clients find it."""
    with VectorsFront(aws_server) as front:
        for name, value in front.environment.items():
            monkeypatch.setenv(name, value)
        yield front


type MakeIndex = Callable[..., LocalIndex]
"""Makes an empty index; its arguments are those of create_index without the first."""


@pytest.fixture
def make_index(front: VectorsFront) -> MakeIndex:
    """Provide a function that makes an empty index."""
    return partial(create_index, front)
