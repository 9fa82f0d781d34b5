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
MARGIN_SECONDS = 1.0
"""The part of the time left that is reserved for writing the response and sending it to the client."""


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """One service that brings HTTP requests.

    `patience_seconds` is the time that it waits for the function. It starts at the time that `received_ms` finds in the event, or,
    if that is None, when the function gets the event. `compressed` is True if a response may be gzip, because the service decodes
    base64 bodies.
    """

    name: str
    matches: Callable[[Request], bool]
    path: Callable[[Request], str]
    received_ms: Callable[[Request], int | None]
    patience_seconds: float
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
                f"the response for {count} {what} could have {count * bytes_each} bytes > {room}, "
                f"the most that fits through {self.name}: send at most {room // bytes_each} {what} at a time"
            )
            raise TooLarge(msg)

    def deadline(self, event: Request, remaining_ms: float | None) -> float:
        """Return the reading of time.monotonic() after which no text is encoded.

        `remaining_ms` is the time left until Lambda stops the function; None if it is unknown.
        """
        now = time.time()
        left = [self.patience_seconds]
        received = self.received_ms(event)
        # The door's clock started before ours: it includes a cold start. An event with an old time was sent again by hand.
        if received is not None and 0 <= now - received / 1000 <= self.patience_seconds:
            left.append(received / 1000 + self.patience_seconds - now)
        if remaining_ms is not None:
            left.append(remaining_ms / 1000)
        return time.monotonic() + min(left) - MARGIN_SECONDS


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
    """Return the path as the API's own resources see it: without the base path that a custom domain adds, which `proxy` lacks."""
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
        patience_seconds=60,  # its idle time-out, unless configured otherwise
        request_bytes=1_000_000,
        response_bytes=1_000_000,
        compressed=True,
    ),
    FrontDoor(
        name="a function URL",
        matches=lambda event: event.get("version") == "2.0" and "http" in event["requestContext"] and _is_url(event),
        path=_http_path,
        received_ms=lambda _: None,
        patience_seconds=900,
        request_bytes=LAMBDA_BYTES - ENVELOPE_BYTES,
        response_bytes=LAMBDA_BYTES,
        compressed=True,
    ),
    FrontDoor(
        name="an HTTP API",
        matches=lambda event: event.get("version") == "2.0" and "http" in event["requestContext"],
        path=_http_path,
        received_ms=lambda event: event["requestContext"].get("timeEpoch"),
        patience_seconds=29,  # it gives up at 30
        request_bytes=LAMBDA_BYTES - ENVELOPE_BYTES,
        response_bytes=LAMBDA_BYTES,
        compressed=True,
    ),
    FrontDoor(
        name="a REST API",
        matches=lambda event: "httpMethod" in event and "resource" in event,
        path=_rest_path,
        received_ms=lambda event: event["requestContext"].get("requestTimeEpoch"),
        patience_seconds=29,
        request_bytes=LAMBDA_BYTES - ENVELOPE_BYTES,
        response_bytes=LAMBDA_BYTES,
        compressed=False,  # it would send the base64 text to the client, unless its binaryMediaTypes are set
    ),
)
"""The front doors, in the order in which they are tried: a function URL's events look like an HTTP API's."""

DIRECT = FrontDoor(
    name="an invocation",
    matches=lambda _: True,
    path=lambda _: "/",
    received_ms=lambda _: None,
    patience_seconds=900,
    request_bytes=LAMBDA_BYTES,
    response_bytes=LAMBDA_BYTES,
    compressed=False,
)
"""A plain invocation with `{"inputs": …}` or `{"records": […]}`, without HTTP."""
