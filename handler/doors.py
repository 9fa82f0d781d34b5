"""Front doors: the AWS services through which an HTTP request reaches the function, and what each of them can carry.

The figures are AWS's quotas (Lambda, API Gateway and Elastic Load Balancing developer guides, November 2026).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handler.errors import TooLarge
from handler.kinds import Context

type Request = Mapping[str, Any]
"""The event of an HTTP request."""

LAMBDA_BYTES = 6_291_556
"""The most bytes of one event, and of one response, of a synchronous invocation, envelope included."""
ENVELOPE_BYTES = 8_192
"""Room for the JSON around a body: status and headers of a response, headers and context of an event."""
MARGIN_S = 1.0
"""Kept of the time left, for writing the response and sending it to the client."""


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """One service that brings HTTP requests.

    `patience_s` is how long it waits for the function, from the time that `received_ms` finds in the event; if that is None, from
    the time when the function gets the event. `compressed` is True if it decodes a base64 body, so that a response may be gzip.
    """

    name: str
    matches: Callable[[Request], bool]
    path: Callable[[Request], str]
    received_ms: Callable[[Request], int | None]
    patience_s: float
    request_bytes: int
    response_bytes: int
    compressed: bool

    def check_request(self, size: int) -> None:
        """Refuse a request body that is larger than this door carries.

        Raises:
            TooLarge: the sentence has the limit and the size.
        """
        if size > self.request_bytes:
            msg = f"the request body has {size} bytes > {self.request_bytes}, the most that fits through {self.name}"
            raise TooLarge(msg)

    def check_response(self, count: int, bytes_each: int, what: str = "inputs") -> None:
        """Refuse, before anything is computed, a response of `count` parts of at most `bytes_each` that might not fit.

        Raises:
            TooLarge: the sentence has the largest count that fits.
        """
        room = self.response_bytes - ENVELOPE_BYTES
        if count * bytes_each > room:
            msg = (
                f"the answer for {count} {what} could have {count * bytes_each} bytes > {room}, "
                f"the most that fits through {self.name}: send at most {room // bytes_each} {what} at a time"
            )
            raise TooLarge(msg)

    def deadline(self, event: Request, remaining_ms: float | None) -> float:
        """Return the time.monotonic() until which texts are encoded; `remaining_ms` is what is left of the function's own time."""
        now_s = time.time()
        left = [self.patience_s]
        received = self.received_ms(event)
        # The door's clock started before ours: it includes a cold start. An old time is that of an event that was sent again by
        # hand.
        if received is not None and 0 <= now_s - received / 1000 <= self.patience_s:
            left.append(received / 1000 + self.patience_s - now_s)
        if remaining_ms is not None:
            left.append(remaining_ms / 1000)
        return time.monotonic() + min(left) - MARGIN_S


def remaining_ms(context: Context) -> float | None:
    """Return the milliseconds until Lambda stops the function, or None if the context does not know them."""
    return context.get_remaining_time_in_millis() if hasattr(context, "get_remaining_time_in_millis") else None


def is_request(event: object) -> bool:
    """Return True if the event is an HTTP request of a known front door."""
    return isinstance(event, dict) and door_of(event) is not None


def door_of(event: Request) -> FrontDoor | None:
    """Return the front door that the event came through, or None if it is no HTTP request.

    A door is recognised by fields that only its own events have. Mangum checks fewer, and would take the events of authorizers, of
    VPC Lattice and of Lambda Destinations for requests.
    """
    if not isinstance(event.get("requestContext"), dict) or "type" in event:
        return None  # authorizer events alone have a `type`
    return next((door for door in FRONT_DOORS if door.matches(event)), None)


def _http_path(event: Request) -> str:
    """Return the path as the API's routes see it: behind a custom domain, only `rawPath` surely lacks the mapping's base path."""
    context = event["requestContext"]
    return _without_stage(str(event.get("rawPath") or context["http"].get("path") or "/"), context.get("stage"))


def _rest_path(event: Request) -> str:
    """Return the path as the API's own resources see it: a custom domain puts a base path before it, which `proxy` lacks."""
    proxy = (event.get("pathParameters") or {}).get("proxy")
    if event.get("resource") == "/{proxy+}" and isinstance(proxy, str):
        return f"/{proxy}"
    path, context = str(event.get("path") or "/"), event["requestContext"]
    stage = context.get("stage")
    # As a rule, only requestContext.path begins with the stage. A path may begin like the stage without containing it.
    return path if context.get("path") == f"/{stage}{path}" else _without_stage(path, stage)


def _without_stage(path: str, stage: str | None) -> str:
    if stage in {None, "", "$default"}:
        return path
    prefix = f"/{stage}"
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path


def _is_url(event: Request) -> bool:
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
"""They are tried in this order: a function URL's events look like an HTTP API's."""

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
"""A plain invocation with `{"inputs": …}` or `{"records": […]}`, without HTTP."""
