"""A service without a model: each use raises the reason, or tries to load the model again."""

import threading
import time
from collections.abc import Callable
from typing import Any

from handler.errors import Backend
from handler.service import Service


class UnloadedService:
    """A service whose members raise the reason why there is no model, until the model is loaded.

    `load` is called at the first use after each pause, because a model in S3 may have become available.
    """

    def __init__(self, reason: Backend, load: Callable[[], Service] | None = None, pause_seconds: float = 10) -> None:
        """Raise `reason` at each use until `load` succeeds; for ever if there is no `load`."""
        self._reason = str(reason)
        self._load = load
        self._pause_seconds = pause_seconds
        self._not_before = time.monotonic() + pause_seconds
        self._service: Service | None = None
        self._lock = threading.Lock()  # a model is loaded once, however many threads use it

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any member of the service
        """Return a member of the loaded service.

        Raises:
            Backend: there is no model.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        with self._lock:
            return getattr(self._loaded(), name)

    def _loaded(self) -> Service:
        if self._service is None:
            if self._load is None or time.monotonic() < self._not_before:
                raise Backend(self._reason)
            try:
                self._service = self._load()
            except Backend as error:
                self._reason = str(error)
                self._not_before = time.monotonic() + self._pause_seconds
                raise
        return self._service
