"""Show the progress of `make embed` on the terminal."""

import sys
import time

from events.embed.counted import counted

QUIET_SECONDS = 10
"""The seconds between two lines of progress, if the output is not a terminal."""


class Bar:
    """Shows progress: on a terminal one line that changes, elsewhere a new line every few seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = time.monotonic()
        self._begun: tuple[float, int, float] | None = None

    def show(self, records: int, done: float) -> None:
        """Show the number of records that are done, the share of the input that is done, the rate, and the time left."""
        now = time.monotonic()
        if self._begun is None:
            # The rate counts from the end of the first batch, so that it excludes the work of an earlier run.
            self._begun = (now, records, done)
        began, records_then, done_then = self._begun
        if not self._terminal and now - self._shown < QUIET_SECONDS:
            return
        self._shown = now
        rate = f"  {(records - records_then) / (now - began):,.0f}/s" if records > records_then else ""
        left = f"  {_clock((now - began) * (1 - done) / (done - done_then))} left" if done > done_then else ""
        line = f"{counted(records, 'record', 'records')}  {done:.0%}{rate}{left}"
        print(f"\r{line:<60}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line on a terminal."""
        if self._terminal and self._begun is not None:
            print(file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
