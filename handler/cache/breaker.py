"""When to leave a failing store alone, so that it costs requests nothing."""

import time
from collections.abc import Callable

FAILURES = 3
PAUSE_SECONDS = 10.0


class Breaker:
    """Closed while the store answers; open after a few failures in a row; after a pause one attempt probes it (half-open)."""

    def __init__(
        self, *, failures: int = FAILURES, pause: float = PAUSE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open after `failures` in a row for `pause` seconds by `clock`."""
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._cold = True

    def allows(self) -> bool:
        """Whether to try. While it is open, one caller each pause is told yes."""
        if self._failures < self._limit:
            return True
        now = self._clock()
        if now < self._open_until:
            return False
        self._open_until = now + self._pause
        return True

    def succeeded(self) -> None:
        """Close."""
        self._cold = False
        self._failures = 0

    def failed(self) -> None:
        """Count a failure; open if there were enough of them."""
        # The first attempt of a process makes connections and imports on a cold processor: its slowness tells nothing of the store.
        if self._cold:
            self._cold = False
            return
        self._failures += 1
        self._open_until = self._clock() + self._pause
