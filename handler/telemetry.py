"""What the function writes to its log: one JSON object a line, never a text, a vector or a key."""

import json
import sys
import time
import traceback
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NAMESPACE = "EmbeddingsOnLambda"

_cold = True


def log(event: str, **fields: str | float | None) -> None:
    """Write one line. Callers pass names, counts and durations, never what a user sent."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)  # noqa: T201 - Lambda takes standard error as the log


def request(context: object, route: str, *, failed: bool, **figures: str | float | None) -> None:
    """Write the line of one request, which ends there; under Lambda, CloudWatch makes metrics of it.

    Lambda's own count of errors stays 0, since every failure is an answer: what `failed` is our fault, and alarms watch that.

    Args:
        context: Lambda's, or None.
        route: the pattern that matched, never the path that was sent.
        failed: through no fault of the caller.
        figures: counts and durations; `tokens` is measured.
    """
    global _cold  # noqa: PLW0603 - of the environment, which is this process
    request_id = getattr(context, "aws_request_id", None)
    fields = {"request_id": request_id, "route": route, **figures, "cold_start": _cold}
    metrics = {"Requests": 1, "ServerErrors": int(failed), "Tokens": float(figures.get("tokens") or 0), "ColdStarts": int(_cold)}
    _cold = False
    function = getattr(context, "function_name", None)
    if function:
        measure(metrics, {"FunctionName": function}, {"event": "request", **fields})
    else:
        log("request", **fields)


def measure(metrics: Mapping[str, float], dimensions: Mapping[str, str], fields: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Write one line that CloudWatch makes metrics of (its embedded metric format), with more fields than it measures."""
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name} for name in metrics],
    }
    aws = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [described]}
    print(json.dumps({**fields, "_aws": aws, **dimensions, **metrics}), file=sys.stderr, flush=True)  # noqa: T201 - as above


def new_incident() -> str:
    """An id under which the log has the details that a caller is not told."""
    return uuid.uuid4().hex[:12]


def log_unexpected(error: BaseException) -> str:
    """Write where an unexpected error came from and return the id under which it is found.

    Its message is left out: libraries quote the values they choke on, and those are the user's texts.
    """
    incident = new_incident()
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log("unexpected_error", incident=incident, error=type(error).__name__, trace=" < ".join(reversed(frames)))
    return incident
