"""State is renewed after a snapshot by Lambda's hooks, which these tests run like Lambda's runtime."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import snapshot_restore_py

from events.dynamodb import LocalDynamoDB
from handler.bootstrap import load_service
from handler.errors import Backend
from handler.service import Options
from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.conftest import INT8
from tests.layers.model import references

SNAPSHOTTED = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


@pytest.fixture(autouse=True)
def hooks() -> Iterator[list[Any]]:
    """Remove all hooks for the time of a test; the value has those that the test registers."""
    registered: list[Any] = snapshot_restore_py.get_after_restore()
    before = list(registered)
    registered.clear()
    yield registered
    registered[:] = before


def restore() -> None:
    """Run the hooks, as the runtime does in each environment that it restores from a snapshot."""
    for function, arguments, named in snapshot_restore_py.get_after_restore():
        function(*arguments, **named)


def test_no_hook_is_registered_if_no_snapshot_is_taken(
    hooks: list[Any], dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that starts on demand opens its own connections."""
    for name, value in dynamodb.environment.items():
        monkeypatch.setenv(name, value)
    load_service({"MODEL_DIR": str(INT8), "CACHE_TABLE": dynamodb.table, "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert hooks == []


def test_the_table_is_called_over_new_connections_after_a_restore(dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new client replaces the one from before the snapshot, and finds the rows that the old one wrote."""
    for name, value in dynamodb.environment.items():
        monkeypatch.setenv(name, value)
    created: list[Any] = []
    create = botocore.session.Session.create_client

    def counted(session: Any, service: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - botocore's
        created.append(service)
        return create(session, service, *arguments, **named)

    monkeypatch.setattr(botocore.session.Session, "create_client", counted)
    service = load_service({"MODEL_DIR": str(INT8), "CACHE_TABLE": dynamodb.table, "CACHE_MEMORY_MB": "0"} | SNAPSHOTTED)
    service.embed(["Before the snapshot."], Options())
    restore()
    assert created == ["dynamodb", "dynamodb"]
    assert service.embed(["Before the snapshot."], Options()).hits == 1


def test_random_numbers_differ_between_environments_of_one_snapshot() -> None:
    """Each of them starts with the same state of the generator."""
    load_service({"MODEL_DIR": str(INT8)} | SNAPSHOTTED)
    state = random.getstate()
    drawn = []
    for _ in range(2):
        random.setstate(state)
        restore()
        drawn.append(random.random())  # noqa: S311 - what is tested
    assert drawn[0] != drawn[1]


def test_no_snapshot_is_taken_of_a_function_without_its_model(tmp_path: Path) -> None:
    """Lambda does not publish the version, and the one before continues to serve."""
    with pytest.raises(Backend, match="The model cannot be served; the reason is in the log under"):
        load_service({"MODEL_DIR": str(tmp_path)} | SNAPSHOTTED)


def test_a_snapshot_holds_the_reranker_and_is_not_taken_without_it(tmp_path: Path) -> None:
    """A restored environment does not load it again. Elsewhere, the first rerank loads it."""
    source = Source(references.write("roberta", tmp_path / "source", references.RERANKERS), "tiny", "1")
    build(Order(source, tmp_path / "model", "int8", (0, -1), threads=1, passages=20), lambda _: None)
    settings = {"MODEL_DIR": str(INT8), "RERANKER_DIR": str(tmp_path / "model")}
    for type_, loaded in {"snap-start": True, "on-demand": False}.items():
        reranker = load_service(settings | {"AWS_LAMBDA_INITIALIZATION_TYPE": type_}).reranker
        assert reranker is not None
        assert (reranker.manifest is not None) == loaded
    with pytest.raises(Backend, match=r"^The model cannot be served"):
        load_service(settings | SNAPSHOTTED | {"RERANKER_DIR": "/nowhere"})
