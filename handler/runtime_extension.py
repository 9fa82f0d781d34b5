"""Do work after the response has been sent, with Lambda's extensions protocol.

The function registers an extension inside its own process. Lambda sends the response as soon as the runtime returns it, but freezes
the environment only when the runtime and every extension ask for the next event. No caller waits for what the extension does in
between.

Law: knows nothing of the kind of work.
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
NAME = "after-the-response"
REGISTER_SECONDS = 1.0
MOST_SECONDS = 1.0
"""The longest time for one piece of work, which is billed and delays the next invocation."""
MARGIN_SECONDS = 0.5
"""Work ends this long before the function's deadline, at which Lambda would kill the environment."""
SHUTDOWN_SECONDS = 0.3
"""The time for work at shutdown. Lambda gives 500 ms between SIGTERM and SIGKILL."""
PAUSE_SECONDS = 0.1
"""The pause before the next request to the API after one that failed."""

type Work = Callable[[float], None]
"""Work that can be deferred until the response has been sent. Its argument is the number of seconds that it may take."""
type Defer = Callable[[Work], None]
"""Does work after the response has been sent."""


class RuntimeExtension:
    """An internal extension: work that is deferred during an invocation is done after its response."""

    def __init__(self, api: str, identifier: str) -> None:
        """Use the API at `api` (host:port), which knows the extension by `identifier`."""
        self._api = api
        self._identifier = identifier
        self._work: deque[Work] = deque()
        self._changed = threading.Condition()
        self._responded: str | None = None

    @classmethod
    def registered(cls, api: str) -> Self:
        """Register with the API, which is only possible during the function's initialization.

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
                msg = f"the extensions API responded with {response.status}"
                raise HTTPException(msg)
        finally:
            connection.close()
        return cls(api, identifier)

    def start(self) -> None:
        """Serve invocations on a thread of its own; do the remaining work when the environment is shut down."""
        threading.Thread(target=self._serve, name=NAME, daemon=True).start()
        signal.signal(signal.SIGTERM, self._shut_down)

    def defer(self, work: Work) -> None:
        """Do `work` after the response to this invocation."""
        self._work.append(work)

    def finish_invocation(self, request_id: str) -> None:
        """Start the deferred work. Call this after every invocation: until then, the environment cannot freeze."""
        with self._changed:
            self._responded = request_id
            self._changed.notify()

    def _serve(self) -> None:
        connection = HTTPConnection(self._api)
        while True:
            try:
                connection.request("GET", f"{PATH}/event/next", headers={"Lambda-Extension-Identifier": self._identifier})
                event: dict[str, Any] = json.load(connection.getresponse())
                self._work_after(event["requestId"], event["deadlineMs"] / 1000)
            except Exception as error:  # noqa: BLE001 - without it, every later invocation would last until its deadline
                telemetry.log("extension_interrupted", error=type(error).__name__)
                connection.close()  # after a snapshot, for example, it is broken; the next request opens it again
                time.sleep(PAUSE_SECONDS)

    def _work_after(self, request_id: str, deadline: float) -> None:
        """Wait for the response to an invocation; then work until nothing is left or the time is over."""
        deadline -= MARGIN_SECONDS
        with self._changed:
            self._changed.wait_for(lambda: self._responded == request_id, timeout=max(0.0, deadline - time.time()))
        self._drain(deadline)

    def _drain(self, deadline: float) -> None:
        while self._work and (left := deadline - time.time()) > 0:
            try:
                self._work.popleft()(min(left, MOST_SECONDS))
            except Exception as error:  # noqa: BLE001 - the response has been sent, so only the log can report it
                telemetry.log_unexpected(error)

    def _shut_down(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._drain(time.time() + SHUTDOWN_SECONDS)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
