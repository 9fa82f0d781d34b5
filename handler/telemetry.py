"""What the function writes to its log: one JSON object a line, never a text, a vector or a key."""

import json
import sys
import traceback
import uuid


def log(event: str, **fields: str | float | None) -> None:
    """Write one line. Callers pass names, counts and durations, never what a user sent."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)  # noqa: T201 - Lambda takes standard error as the log


def log_unexpected(error: BaseException) -> str:
    """Write where an unexpected error came from and return the id under which it is found.

    Its message is left out: libraries quote the values they choke on, and those are the user's texts.
    """
    incident = uuid.uuid4().hex[:12]
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log("unexpected_error", incident=incident, error=type(error).__name__, trace=" < ".join(reversed(frames)))
    return incident
