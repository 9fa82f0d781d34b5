"""The middleware around all routes: it checks keys, compresses responses, turns every failure into JSON and logs each request."""

import re
import sys
import time
from http import HTTPStatus
from urllib.parse import unquote

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler import telemetry
from handler.doors import DIRECT, door_of
from handler.errors import Backend, EmbeddingError, Internal, Unauthorized
from handler.http.errors import STATUS, failure, unexpected
from handler.http.responses import REQUEST_ID
from handler.http.routes import KEY_HEADERS, Key, operations
from handler.keys import Keys

GZIP_LEVEL = 1
"""200 vectors shrink to 44 % in 10 ms; level 6 takes 62 ms to shrink them to 39 %."""
REDIRECTS = {"/try/": "../try", "/docs/": "../docs"}
"""The redirects of a page's path to which a slash was added: only the path without it has a rate limit of its own."""
PAGES, NO_KEY_REQUIRED = operations(Key.PAGE), operations(Key.NOT_REQUIRED)
BACKEND, INTERNAL = STATUS[Backend], STATUS[Internal]
"""The statuses of failures that are not the caller's: BACKEND, and all from INTERNAL on."""


class RequestMiddleware:
    """Stands between Mangum and the routes. It puts the front door of the request into the scope as `door`."""

    def __init__(self, app: ASGIApp, keys: Keys | None, *, pages: bool = True) -> None:
        """Require one of `keys` for requests to `app`; None requires no key. Unless `pages`, the pages require a key too."""
        self._app = app
        self._pages = PAGES if pages else frozenset[tuple[str, str]]()
        # Compressing on a thread, as Starlette does for large responses, costs more than it saves here.
        self._compressing = GZipMiddleware(app, minimum_size=1024, compresslevel=GZIP_LEVEL, thread_minimum_size=sys.maxsize)
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request, whatever happens, and log it."""
        started = time.perf_counter_ns()
        event = scope.get("aws.event", {})
        scope["door"] = door = door_of(event) or DIRECT
        sent_path = door.path(event) if event else scope["path"]
        scope["path"] = _normalized(unquote(sent_path) if event else sent_path)
        sender = ResponseSender(send, scope["method"], scope.get("aws.context"))
        try:
            await self._app_for(scope, sent_path)(scope, receive, sender.send)
        except EmbeddingError as error:
            await failure(error, scope["path"])(scope, receive, sender.send)
        except Exception as error:  # noqa: BLE001 - nothing above this line would send the client a response
            await unexpected(error, scope["path"])(scope, receive, sender.send)
        finally:
            _log(scope, sender.status, started)

    def _app_for(self, scope: Scope, sent_path: str) -> ASGIApp:
        """Return what responds to the request, after its key is checked.

        Raises:
            Unauthorized: the route requires a key, and the request has no valid one.
        """
        method, request = scope["method"], Request(scope)
        if self._keys:
            if sent_path in REDIRECTS and (method, sent_path[:-1]) in self._pages:
                return Response(status_code=HTTPStatus.PERMANENT_REDIRECT, headers={"location": REDIRECTS[sent_path]})
            no_key = method == "OPTIONS" or (method, scope["path"]) in NO_KEY_REQUIRED or (method, sent_path) in self._pages
            if not no_key:
                scope["caller"] = authorize(self._keys, request)
        compress = scope["door"].compressed and _accepts_gzip(request.headers.get("accept-encoding", ""))
        return self._compressing if compress else self._app


def authorize(keys: Keys, request: Request) -> str:
    """Check the keys of a request; returns the name of the one that is valid, "" if it has none.

    One valid key is enough: a client may have to put something into its own header, and API Gateway's usage plans use `x-api-key`.

    Raises:
        Unauthorized: there is no key, or each is malformed, repeated or wrong.
    """
    sent = {name: request.headers.getlist(name) for name in ("authorization", *KEY_HEADERS)}
    for name, values in sent.items():
        key = _key(name, values[0]) if len(values) == 1 else ""
        if key and keys.accepts(key):
            return keys.name_of(key)
    if not any(BEARER.sub("", value).strip() for values in sent.values() for value in values):
        raise Unauthorized(NO_KEY)
    msg = "Invalid credentials in Authorization header"
    raise Unauthorized(msg)


def _key(name: str, value: str) -> str:
    """Return the key in a header's value; "" if it has none."""
    if name in KEY_HEADERS:
        return value.strip()
    bearer = BEARER.match(value)
    return value[bearer.end() :].strip() if bearer else ""


BEARER = re.compile("bearer( |$)", re.IGNORECASE)
NO_KEY = "The request has no API key: send it in the header `Authorization: Bearer KEY`, `api-key: KEY` or `x-api-key: KEY`"


def _log(scope: Scope, status: int, started_ns: int) -> None:
    milliseconds = (time.perf_counter_ns() - started_ns) / 1e6
    figures = {"method": scope["method"], "status": status, "ms": round(milliseconds, 3), **scope.get("figures", {})}
    if caller := scope.get("caller"):
        figures["caller"] = caller
    failed = status >= INTERNAL or status == BACKEND
    telemetry.request(scope.get("aws.context"), scope.get("pattern", "none"), failed=failed, **figures)


def _normalized(path: str) -> str:
    """Remove repeated and trailing slashes, which clients make when they join a base URL and a path."""
    return re.sub("/{2,}", "/", path).rstrip("/") or "/"


def _accepts_gzip(accept_encoding: str) -> bool:
    """Return whether Accept-Encoding names gzip without the quality 0, which refuses it (RFC 9110, section 12.5.3)."""
    found = re.search(r"gzip\s*(?:;\s*q=([\d.]+))?", accept_encoding, re.IGNORECASE)
    return found is not None and found[1] not in {"0", "0.", "0.0", "0.00", "0.000"}


class ResponseSender:
    """Sends a response with the id of the Lambda invocation, and without its body if the request is HEAD."""

    def __init__(self, send: Send, method: str, context: object) -> None:
        self._send = send
        self._is_head = method == "HEAD"
        self._request_id = getattr(context, "aws_request_id", None)
        self.status = INTERNAL
        """The status that was sent; INTERNAL until one is."""

    async def send(self, message: Message) -> None:
        """Send one part of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._request_id is not None:
                MutableHeaders(scope=message)[REQUEST_ID] = self._request_id
        elif message["type"] == "http.response.body" and self._is_head:
            message = {**message, "body": b""}
        await self._send(message)
