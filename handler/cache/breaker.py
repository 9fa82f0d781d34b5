"""A circuit breaker: a failing table is not called for a while, so that it does not slow requests down."""

import time
from collections.abc import Callable

FAILURES = 3
PAUSE_SECONDS = 10.0


class Breaker:
    """Closed while calls succeed; open after a few failures in a row; half-open after a pause, when one call tests the table."""

    def __init__(
        self, *, failures: int = FAILURES, pause: float = PAUSE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a closed breaker that opens for `pause` seconds after `failures` in a row. `clock` returns the time in seconds."""
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._cold = True

    def allows(self) -> bool:
        """Return whether to call the table. While the breaker is open, this is true for one caller after each pause."""
        if self._failures < self._limit:
            return True
        now = self._clock()
        if now < self._open_until:
            return False
        self._open_until = now + self._pause
        return True

    def succeeded(self) -> None:
        """Close the breaker after a call that succeeded."""
        self._cold = False
        self._failures = 0

    def failed(self) -> None:
        """Count a call that failed; open the breaker if there were enough of them in a row."""
        # A process's first call imports modules and opens connections on a cold processor. If it is slow, the table may be fine.
        if self._cold:
            self._cold = False
            return
        self._failures += 1
        self._open_until = self._clock() + self._pause
