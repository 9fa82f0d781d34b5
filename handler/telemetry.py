"""What the function writes to its log: one JSON object a line, never a text, a vector or a key."""

import json
import sys
import time
import traceback
import uuid
from collections.abc import Mapping

NAMESPACE = "EmbeddingsOnLambda"


def log(event: str, **fields: str | float | None) -> None:
    """Write one line. Callers pass names, counts and durations, never what a user sent."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)  # noqa: T201 - Lambda takes standard error as the log


def measure(metrics: Mapping[str, float], **dimensions: str) -> None:
    """Write one line that CloudWatch makes metrics of (its embedded metric format)."""
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name} for name in metrics],
    }
    aws = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [described]}
    print(json.dumps({"_aws": aws, **dimensions, **metrics}), file=sys.stderr, flush=True)  # noqa: T201 - as above


def log_unexpected(error: BaseException) -> str:
    """Write where an unexpected error came from and return the id under which it is found.

    Its message is left out: libraries quote the values they choke on, and those are the user's texts.
    """
    incident = uuid.uuid4().hex[:12]
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log("unexpected_error", incident=incident, error=type(error).__name__, trace=" < ".join(reversed(frames)))
    return incident
