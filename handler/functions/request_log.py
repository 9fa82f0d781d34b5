"""One line in the log for each event that is not an HTTP request: its kind, its work, and whether it failed.

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


def with_request_log(service: Service, make_handler: Callable[[Service], Handler], route: Callable[[Event], str]) -> Handler:
    """Make a handler with `make_handler` that writes one log line for each event; `route` names the event's kind."""
    metered = MeteredService(service)
    handler = make_handler(metered)

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
            telemetry.request(context, route(event), failed=failed, ms=milliseconds, **metered.figures)
        return response

    return logged


class MeteredService:
    """A service that adds up the figures of all calls of `embed` for one event; everything else is the service's own."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._thread = threading.local()

    @property
    def figures(self) -> Counter[str]:
        """The sums for the event that this thread handles."""
        figures: Counter[str] = vars(self._thread).setdefault("figures", Counter())
        return figures

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Embed, and add the figures."""
        result = self._service.embed(texts, options, deadline)
        self.figures.update(result.figures)
        return result

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any other member of the service
        """Take any other member of the service."""
        return getattr(self._service, name)
