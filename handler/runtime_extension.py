"""Work after the answer, by Lambda's extensions protocol.

The function registers an extension inside its own process. Lambda freezes an environment only when the runtime and every extension
ask for the next event, but answers the caller when the runtime has replied: for what the extension does in between, nobody waits.

Law: knows nothing of what the work is.
"""

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from types import FrameType
from typing import Any, Self

from handler import telemetry

PATH = "/2020-01-01/extension"
NAME = "after-the-answer"
REGISTER_SECONDS = 1.0
MOST_SECONDS = 1.0
"""For one piece of work: it is billed, and delays the next invocation."""
MARGIN_SECONDS = 0.5
"""Before the function's own deadline, at which Lambda would kill it."""
SHUTDOWN_SECONDS = 0.3
"""Of the 500 ms that Lambda gives between SIGTERM and SIGKILL."""
PAUSE_SECONDS = 0.1

type Work = Callable[[float], None]
"""Is given the seconds it may take."""


class RuntimeExtension:
    """An internal extension: work handed over during an invocation is done when that invocation has been answered."""

    def __init__(self, api: str, identifier: str) -> None:
        """Speak to the runtime API at `api` (host:port) as the extension that it calls `identifier`."""
        self._api = api
        self._identifier = identifier
        self._work: deque[Work] = deque()
        self._turn = threading.Condition()
        self._answered: str | None = None

    @classmethod
    def registered(cls, api: str) -> Self:
        """Register with the runtime API; only possible while the function initialises.

        Raises:
            OSError, HTTPException: there is no such API, or it refuses.
        """
        connection = HTTPConnection(api, timeout=REGISTER_SECONDS)
        try:
            headers = {"Lambda-Extension-Name": NAME}
            connection.request("POST", f"{PATH}/register", json.dumps({"events": ["INVOKE"]}), headers)
            response = connection.getresponse()
            response.read()
            identifier = response.headers.get("Lambda-Extension-Identifier")
            if not identifier:
                msg = f"the extensions API answered {response.status}"
                raise HTTPException(msg)
        finally:
            connection.close()
        return cls(api, identifier)

    def start(self) -> None:
        """Wait for invocations on a thread of its own, and do what is left when the environment is shut down."""
        threading.Thread(target=self._serve, name="after-the-answer", daemon=True).start()
        signal.signal(signal.SIGTERM, self._shut_down)

    def later(self, work: Work) -> None:
        """Do `work` after the answer to this invocation."""
        self._work.append(work)

    def answered(self, request_id: str) -> None:
        """The handler has returned its answer. Must be said of every invocation: until then the environment is kept awake."""
        with self._turn:
            self._answered = request_id
            self._turn.notify()

    def _serve(self) -> None:
        connection = HTTPConnection(self._api)
        while True:
            try:
                connection.request("GET", f"{PATH}/event/next", headers={"Lambda-Extension-Identifier": self._identifier})
                event: dict[str, Any] = json.load(connection.getresponse())
                self._after(event["requestId"], event["deadlineMs"] / 1000)
            except Exception as error:  # noqa: BLE001 - an extension that ends would keep every later invocation awake until its deadline
                telemetry.log("extension_interrupted", error=type(error).__name__)
                connection.close()  # broken by a snapshot, say; the next request opens it anew
                time.sleep(PAUSE_SECONDS)

    def _after(self, request_id: str, deadline: float) -> None:
        """Wait for the answer to an invocation, then work until nothing is left or its time is over."""
        deadline -= MARGIN_SECONDS
        with self._turn:
            self._turn.wait_for(lambda: self._answered == request_id, timeout=max(0.0, deadline - time.time()))
        self._drain(deadline)

    def _drain(self, deadline: float) -> None:
        while self._work and (left := deadline - time.time()) > 0:
            try:
                self._work.popleft()(min(left, MOST_SECONDS))
            except Exception as error:  # noqa: BLE001 - nobody is left to tell but the log
                telemetry.log_unexpected(error)

    def _shut_down(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._drain(time.time() + SHUTDOWN_SECONDS)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
