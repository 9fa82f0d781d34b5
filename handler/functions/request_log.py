"""The log line of each event that is not an HTTP request: its kind, counts and durations of its work, and its success.

Law: knows nothing of the kinds of events.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from handler import telemetry
from handler.bootstrap import Handler
from handler.errors import Empty, Tokenizer, Validation
from handler.kinds import Context, Event
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors

CALLER_ERRORS = (Empty, Validation, Tokenizer)
"""Errors that are the caller's fault: no alarm counts them."""


class MeteredService:
    """A service that adds up the figures of all calls of `embed` for one event. Every other member is the wrapped service's."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._thread = threading.local()

    @property
    def figures(self) -> Counter[str]:
        """The sums for the event that this thread handles."""
        figures: Counter[str] = vars(self._thread).setdefault("figures", Counter())
        return figures

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Embed texts, and add the figures of this call to the sums."""
        result = self._service.embed(texts, options, deadline)
        self.figures.update(result.figures)
        return result

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any other member of the service
        """Return any other member of the wrapped service."""
        return getattr(self._service, name)


def with_request_log(handler: Handler, metered: MeteredService, name_of: Callable[[Event], str]) -> Handler:
    """Make a handler write one log line for each event.

    Args:
        handler: the handler.
        metered: the service that `handler` uses; it has the figures of each event.
        name_of: returns the name of an event's kind.
    """

    def logged(event: Event, context: Context) -> object:
        metered.figures.clear()
        started = time.perf_counter_ns()
        failed = True
        try:
            response = handler(event, context)
            failed = False
        except CALLER_ERRORS:
            failed = False
            raise
        finally:
            milliseconds = round((time.perf_counter_ns() - started) / 1e6, 3)
            telemetry.request(context, name_of(event), failed=failed, ms=milliseconds, **metered.figures)
        return response

    return logged
