"""Write the function's log: one JSON object a line, which never contains a text, a vector or a key."""

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
    """Write one line of the log. Callers pass names, counts and durations, never anything that a user sent."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)  # noqa: T201 - Lambda logs standard error


def request(context: object, route: str, *, failed: bool, **figures: str | float | None) -> None:
    """Write the line of one completed request. Under Lambda, CloudWatch extracts metrics from it.

    Lambda's own error count stays 0, because every failure has a response. Alarms watch the metric of `failed` instead.

    Args:
        context: the context that Lambda passed, or None.
        route: the pattern of the route, never the path of the request.
        failed: true if the request failed and the caller is not the cause.
        figures: counts and durations. `tokens` also becomes a metric.
    """
    global _cold  # noqa: PLW0603 - a cold start is a fact about the process
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
    """Write one line from which CloudWatch extracts metrics (its embedded metric format). `fields` do not become metrics."""
    definition = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name} for name in metrics],
    }
    aws = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [definition]}
    print(json.dumps({**fields, "_aws": aws, **dimensions, **metrics}), file=sys.stderr, flush=True)  # noqa: T201 - Lambda logs standard error


def new_incident() -> str:
    """Return an id for an error. The caller gets the id only; the log has the details under it."""
    return uuid.uuid4().hex[:12]


def log_unexpected(error: BaseException) -> str:
    """Log where an unexpected error came from; return its id.

    The message is not logged, because libraries quote the values that they fail on, and these are users' texts.
    """
    incident = new_incident()
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log("unexpected_error", incident=incident, error=type(error).__name__, trace=" < ".join(reversed(frames)))
    return incident
