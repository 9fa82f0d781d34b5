"""How far an embedding of a file is, for whoever watches."""

import sys
import time
from collections.abc import Callable

QUIET_SECONDS = 10
"""Between lines about the progress, where no terminal shows it."""


class Bar:
    """How far it is: a line that stands, on a terminal; elsewhere one every few seconds."""

    def __init__(self, done: Callable[[int], float]) -> None:
        """Ask `done` how much of the input is done, given how far it was read."""
        self._done = done
        self._terminal = sys.stderr.isatty()
        self._shown = time.monotonic()
        self._begun: tuple[float, int, float] | None = None

    def show(self, records: int, read: int) -> None:
        """Show records, share, rate and the time left."""
        now, done = time.monotonic(), self._done(read)
        if self._begun is None:
            # The first batch has no beginning to be measured from: a run that goes on has not done what was done before it.
            self._begun = (now, records, done)
        began, records_then, done_then = self._begun
        if not self._terminal and now - self._shown < QUIET_SECONDS:
            return
        self._shown = now
        rate = f"  {(records - records_then) / (now - began):,.0f}/s" if records > records_then else ""
        left = f"  {_clock((now - began) * (1 - done) / (done - done_then))} left" if done > done_then else ""
        line = f"{records:,} records  {done:.0%}{rate}{left}"
        print(f"\r{line:<60}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line that stands."""
        if self._terminal and self._begun is not None:
            print(file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
