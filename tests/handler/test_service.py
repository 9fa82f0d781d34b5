"""A service whose model is not there yet."""

import pytest

from handler.errors import Backend
from handler.service import Options, Service
from handler.unloaded_service import UnloadedService


def test_a_model_that_may_come_later_is_tried_again_at_a_later_call(service: Service) -> None:
    """The sentence of the last try is returned until a try succeeds; after that the model is served, and not loaded again."""
    tries = iter([None, service])

    def again() -> Service:
        found = next(tries)
        if found is None:
            msg = "still not there"
            raise Backend(msg)
        return found

    waiting = UnloadedService(Backend("not there"), again, pause_seconds=0)
    with pytest.raises(Backend, match="still not there"):
        waiting.embed(["a"], Options())
    for _ in range(2):
        assert waiting.embed(["a"], Options()).vectors.tobytes() == service.embed(["a"], Options()).vectors.tobytes()
    assert waiting.manifest is service.manifest


def test_it_is_not_tried_at_every_call(service: Service) -> None:
    """Whoever calls meanwhile has the last answer at once."""
    tried: list[Service] = []

    def again() -> Service:
        tried.append(service)
        return service

    waiting = UnloadedService(Backend("not there"), again, pause_seconds=60)
    for _ in range(3):
        with pytest.raises(Backend, match=r"^not there$"):
            waiting.text_of([1])
    assert tried == []


def test_a_model_in_a_layer_does_not_come_later() -> None:
    """A layer stays as it is."""
    with pytest.raises(Backend, match=r"^damaged$"):
        _ = UnloadedService(Backend("damaged"), pause_seconds=0).settings
