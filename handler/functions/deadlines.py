"""The deadline of an event of the pipeline: the end of its time, minus the time that writing needs."""

import math
import time

from handler.doors import remaining_ms
from handler.kinds import Context

LONGEST_SECONDS = 900.0
"""The longest time that Lambda gives. It is used if the context does not say how much time is left."""
MARGIN_SECONDS, MARGIN_SHARE = 10.0, 0.2
"""The time that is reserved for writing: MARGIN_SECONDS, but at most the share MARGIN_SHARE of the time left."""


def deadline(context: Context, batch_seconds: float = math.inf) -> float:
    """Return the reading of time.monotonic() after which no text is embedded.

    It lies before the end of the function's time, and before the end of `batch_seconds`.
    """
    milliseconds = remaining_ms(context)
    seconds = min(LONGEST_SECONDS if milliseconds is None else milliseconds / 1000, LONGEST_SECONDS, batch_seconds)
    return time.monotonic() + seconds - min(MARGIN_SECONDS, MARGIN_SHARE * seconds)
