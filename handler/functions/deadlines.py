"""The time that an event of the pipeline has, less what is kept for writing."""

import math
import time

from handler.doors import remaining_ms
from handler.kinds import Context

LONGEST_SECONDS = 900.0
"""The longest time that Lambda gives. It counts if no context says how much time is left."""
MARGIN_SECONDS, MARGIN_SHARE = 10.0, 0.2
"""Kept for writing what is embedded by then: so many seconds, but no more than this share of the time left."""


def deadline(context: Context, batch_seconds: float = math.inf) -> float:
    """Return the time.monotonic() until which texts are embedded: before the function's time is over, and the batch's own."""
    milliseconds = remaining_ms(context)
    seconds = min(LONGEST_SECONDS if milliseconds is None else milliseconds / 1000, LONGEST_SECONDS, batch_seconds)
    return time.monotonic() + seconds - min(MARGIN_SECONDS, MARGIN_SHARE * seconds)
