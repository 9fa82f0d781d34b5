"""Front doors: the ways an HTTP request reaches the function, and what each can carry.

Figures are AWS's quotas (Lambda, API Gateway and Elastic Load Balancing developer guides, November 2026).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handler.errors import TooLarge

type Event = Mapping[str, Any]

LAMBDA_BYTES = 6_291_556
"""The most that Lambda takes or gives back in one synchronous invocation, envelope included."""
ENVELOPE_BYTES = 8_192
"""Room for what stands around a body in its JSON: status and headers of a reply, headers and context of an event."""
MARGIN_S = 1.0
"""Kept back of the time there is, for writing the answer and for the way to the client."""


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """One way in. `compressed`: whether it hands a base64 body on as bytes, so that an answer may be gzip.

    `patience_s` is how long it waits for the function, counted from the time that `received_ms` finds in the event; where that is
    None only the function's own time-out counts.
    """

    name: str
    matches: Callable[[Event], bool]
    path: Callable[[Event], str]
    received_ms: Callable[[Event], int | None]
    patience_s: float
    request_bytes: int
    response_bytes: int
    compressed: bool

    def check_request(self, size: int) -> None:
        """Refuse a body that this door would not have carried.

        Raises:
            TooLarge: with the limit and the size.
        """
        if size > self.request_bytes:
            msg = f"the request body has {size} bytes > {self.request_bytes}, the most that fits through {self.name}"
            raise TooLarge(msg)

    def check_response(self, count: int, bytes_each: int, what: str = "inputs") -> None:
        """Refuse, before anything is computed, an answer of `count` parts of at most `bytes_each` that might not fit.

        Raises:
            TooLarge: with the largest count that fits.
        """
        room = self.response_bytes - ENVELOPE_BYTES
        if count * bytes_each > room:
            msg = (
                f"the answer for {count} {what} could have {count * bytes_each} bytes > {room}, "
                f"the most that fits through {self.name}: send at most {room // bytes_each} {what} at a time"
            )
            raise TooLarge(msg)

    def deadline(self, event: Event, remaining_ms: float | None) -> float:
        """The time.monotonic() by which an answer must be under way; `remaining_ms` is the function's own time left."""
        now_s = time.time()
        left = [self.patience_s]
        received = self.received_ms(event)
        # The door's clock started before ours: a cold start is in it. An old stamp is that of an event sent again by hand.
        if received is not None and 0 <= now_s - received / 1000 <= self.patience_s:
            left.append(received / 1000 + self.patience_s - now_s)
        if remaining_ms is not None:
            left.append(remaining_ms / 1000)
        return time.monotonic() + min(left) - MARGIN_S


def remaining_ms(context: Any) -> float | None:  # noqa: ANN401 - Lambda's own type
    """Milliseconds until Lambda stops the function, where a context tells them."""
    return context.get_remaining_time_in_millis() if hasattr(context, "get_remaining_time_in_millis") else None


def door_of(event: Event) -> FrontDoor | None:
    """The front door that `event` came through, or None where it is no HTTP request.

    Proven by the parts that only its own kind has. Mangum guesses by less, and would take authorizer, VPC Lattice and Lambda
    Destinations events for requests too.
    """
    if not isinstance(event.get("requestContext"), dict) or "type" in event:
        return None  # authorizer events alone have a `type`
    return next((door for door in FRONT_DOORS if door.matches(event)), None)


def _http_path(event: Event) -> str:
    """The path as the API's routes see it: behind a custom domain only `rawPath` is promised to lack the mapping's base path."""
    context = event["requestContext"]
    return _without_stage(str(event.get("rawPath") or context["http"].get("path") or "/"), context.get("stage"))


def _rest_path(event: Event) -> str:
    """The path as the API's own resources see it: a custom domain puts a base path before it, which `proxy` lacks."""
    proxy = (event.get("pathParameters") or {}).get("proxy")
    if event.get("resource") == "/{proxy+}" and isinstance(proxy, str):
        return f"/{proxy}"
    path, context = str(event.get("path") or "/"), event["requestContext"]
    stage = context.get("stage")
    # The stage is in requestContext.path alone, as a rule; a path that begins like it need not contain it.
    return path if context.get("path") == f"/{stage}{path}" else _without_stage(path, stage)


def _without_stage(path: str, stage: str | None) -> str:
    if stage in {None, "", "$default"}:
        return path
    prefix = f"/{stage}"
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path


def _is_url(event: Event) -> bool:
    return ".lambda-url." in str(event["requestContext"].get("domainName", ""))


FRONT_DOORS = (
    FrontDoor(
        name="a load balancer",
        matches=lambda event: "httpMethod" in event and "elb" in event["requestContext"],
        path=lambda event: str(event.get("path") or "/"),
        received_ms=lambda _: None,
        patience_s=60,  # its idle time-out, unless configured otherwise
        request_bytes=1_000_000,
        response_bytes=1_000_000,
        compressed=True,
    ),
    FrontDoor(
        name="a function URL",
        matches=lambda event: event.get("version") == "2.0" and "http" in event["requestContext"] and _is_url(event),
        path=_http_path,
        received_ms=lambda _: None,
        patience_s=900,
        request_bytes=LAMBDA_BYTES - ENVELOPE_BYTES,
        response_bytes=LAMBDA_BYTES,
        compressed=True,
    ),
    FrontDoor(
        name="an HTTP API",
        matches=lambda event: event.get("version") == "2.0" and "http" in event["requestContext"],
        path=_http_path,
        received_ms=lambda event: event["requestContext"].get("timeEpoch"),
        patience_s=29,  # it gives up at 30
        request_bytes=LAMBDA_BYTES - ENVELOPE_BYTES,
        response_bytes=LAMBDA_BYTES,
        compressed=True,
    ),
    FrontDoor(
        name="a REST API",
        matches=lambda event: "httpMethod" in event and "resource" in event,
        path=_rest_path,
        received_ms=lambda event: event["requestContext"].get("requestTimeEpoch"),
        patience_s=29,
        request_bytes=LAMBDA_BYTES - ENVELOPE_BYTES,
        response_bytes=LAMBDA_BYTES,
        compressed=False,  # it would hand the base64 text on, unless its binaryMediaTypes are set
    ),
)
"""In the order in which they are tried."""

DIRECT = FrontDoor(
    name="an invocation",
    matches=lambda _: True,
    path=lambda _: "/",
    received_ms=lambda _: None,
    patience_s=900,
    request_bytes=LAMBDA_BYTES,
    response_bytes=LAMBDA_BYTES,
    compressed=False,
)
"""No HTTP at all: the function invoked with `{"inputs": …}`."""
