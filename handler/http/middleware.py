"""What stands between Mangum and the routes: where a request came in, whether it may, and that every failure is told as JSON."""

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
from handler.http.routes import Key, operations
from handler.keys import Keys

GZIP_LEVEL = 1
"""200 vectors shrink to 44 % in 10 ms; level 6 takes 62 ms to get them to 39 %."""
WITHOUT_SLASH = {"/try/": "../try", "/docs/": "../docs"}
"""Where a browser is sent that asks for a page with a slash behind it: a page has a rate of its own under one path only."""
PAGES, OPEN = operations(Key.PAGE), operations(Key.NOT_REQUIRED)
BACKEND, INTERNAL = STATUS[Backend], STATUS[Internal]
"""The statuses that are our fault: from the latter on all are."""


class Gate:
    """The outermost ASGI application of ours. Puts the front door into the scope as `door`."""

    def __init__(self, app: ASGIApp, keys: Keys | None, *, pages: bool = True) -> None:
        """Guard `app` with these keys; None leaves it open. Without `pages` these require a key too."""
        self._app = app
        self._pages = PAGES if pages else frozenset[tuple[str, str]]()
        # A thread for compressing, which the middleware would take for large answers, costs more than it saves here.
        self._compressing = GZipMiddleware(app, minimum_size=1024, compresslevel=GZIP_LEVEL, thread_minimum_size=sys.maxsize)
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        event = scope.get("aws.event", {})
        door = door_of(event) or DIRECT
        scope["door"] = door
        sent = door.path(event) if event else scope["path"]
        scope["path"] = _plain(unquote(sent) if event else sent)
        request = Request(scope)
        started = time.perf_counter_ns()
        reply = Reply(send, scope["method"], scope.get("aws.context"))
        send = reply.send
        try:
            method = scope["method"]
            if self._keys and sent in WITHOUT_SLASH and (method, sent[:-1]) in self._pages:
                await Response(status_code=HTTPStatus.PERMANENT_REDIRECT, headers={"location": WITHOUT_SLASH[sent]})(
                    scope, receive, send
                )
                return
            if self._keys and not _is_open(scope) and (method, sent) not in self._pages:
                scope["caller"] = authorize(self._keys, request)
            compress = door.compressed and _takes_gzip(request.headers.get("accept-encoding", ""))
            await (self._compressing if compress else self._app)(scope, receive, send)
        except EmbeddingError as error:
            await failure(error, scope["path"])(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last line before the wire: nothing else may tell the client
            await unexpected(error, scope["path"])(scope, receive, send)
        finally:
            milliseconds = (time.perf_counter_ns() - started) / 1e6
            failed = reply.status >= INTERNAL or reply.status == BACKEND
            figures = {"method": scope["method"], "status": reply.status, "ms": round(milliseconds, 3), **scope.get("figures", {})}
            if caller := scope.get("caller"):
                figures["caller"] = caller
            telemetry.request(scope.get("aws.context"), scope.get("pattern", "none"), failed=failed, **figures)


def authorize(keys: Keys, request: Request) -> str:
    """Let a request with a valid key pass; returns the key's name, "" if it has none.

    Raises:
        Unauthorized: it has none, or one that is malformed, repeated or wrong.
    """
    sent = request.headers.getlist("authorization")
    scheme, _, key = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not key.strip() or not keys.accepts(key.strip()):
        msg = "Invalid credentials in Authorization header"
        raise Unauthorized(msg)
    return keys.name_of(key.strip())


def _is_open(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" or (scope["method"], scope["path"]) in OPEN


def _plain(path: str) -> str:
    """The path without doubled and trailing slashes, which clients make when they join a base URL to a path."""
    return re.sub("/{2,}", "/", path).rstrip("/") or "/"


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding names gzip, and not with the quality 0 that refuses it (RFC 9110, section 12.5.3)."""
    found = re.search(r"gzip\s*(?:;\s*q=([\d.]+))?", accept_encoding, re.IGNORECASE)
    return found is not None and found[1] not in {"0", "0.", "0.0", "0.00", "0.000"}


class Reply:
    """What goes out: with Lambda's id of the invocation, under which the log has it, and without a body where HEAD asks."""

    def __init__(self, send: Send, method: str, context: object) -> None:
        self._send = send
        self._head = method == "HEAD"
        self._request_id = getattr(context, "aws_request_id", None)
        self.status = INTERNAL
        """What was answered; until then, what it is if nothing is."""

    async def send(self, message: Message) -> None:
        """Send one part of it on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._request_id is not None:
                MutableHeaders(scope=message)[REQUEST_ID] = self._request_id
        elif message["type"] == "http.response.body" and self._head:
            message = {**message, "body": b""}
        await self._send(message)
