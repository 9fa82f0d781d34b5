"""The pipeline function with fakes around it, and Lambda's context."""

from collections.abc import Callable

from handler.bootstrap import Handler
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.pipeline.ports import FailureDestination, ObjectStore, Sink
from handler.pipeline_settings import PipelineSettings
from handler.service import Service
from tests.handler.fake_objects import Queue
from tests.pipelines.fakes import FakeService, Memory
from tests.secrecy import overheard


class Context:
    """A context of Lambda that knows the time left."""

    def __init__(self, seconds: float) -> None:
        self._ms = seconds * 1000

    def get_remaining_time_in_millis(self) -> float:
        return self._ms


def answer_of(
    sink: Sink | None = None,
    service: Service | None = None,
    destination: FailureDestination | None = None,
    objects: ObjectStore | None = None,
    named: Callable[[str], Sink] | None = None,
) -> Handler:
    """Make the function's handler from fakes."""
    settings = PipelineSettings.from_environment({})
    parts = Setup(settings, sink, destination, objects or Queue(lines=3).objects, named or (lambda _: Memory()))
    return overheard(make_handler(service or FakeService(), parts))
