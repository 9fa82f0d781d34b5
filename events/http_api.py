"""Translate between HTTP and a Lambda function as an HTTP API of API Gateway does, in payload format 2.0.

Law: pure functions without clock, randomness or network: the caller passes in the time and the request's id.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import UUID

TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript"})
"""Bodies of these types, and of text/*, are sent to the function as text. All others, such as forms, are sent as base64.

AWS does not document the list. ministackorg/ministack pull request 766 measured it on a real HTTP API.
"""

HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
"""These headers describe one connection. The gateway makes its own on both sides."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as the client sent it, with path and query percent-encoded."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    client: str
    port: int


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def make_event(request: Request, *, received: datetime, request_id: UUID) -> dict[str, Any]:
    """Make the event of a request. Like AWS, leave out the fields for parts that the request does not have."""
    headers, cookies = _combined(request.headers)
    text = _is_text(headers)
    forwarded = headers.get("x-forwarded-for")
    headers |= {
        "content-length": str(len(request.body)),
        "x-amzn-trace-id": f"Root=1-{int(received.timestamp()):08x}-{request_id.hex[:24]}",
        "x-forwarded-for": f"{forwarded}, {request.client}" if forwarded else request.client,
        "x-forwarded-port": str(request.port),
        "x-forwarded-proto": "http",
    }
    path = _decoded(request.path)
    host = headers.get("host", "")
    optional: dict[str, Any] = {
        "cookies": cookies,
        "queryStringParameters": _parameters(request.query),
        "body": request.body.decode(errors="replace") if text else base64.b64encode(request.body).decode(),
    }
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": dict(sorted(headers.items())),
        **{name: value for name, value in optional.items() if value},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": base64.b64encode(request_id.bytes[:11]).decode(),
            "routeKey": "$default",
            "stage": "$default",
            "time": received.astimezone(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(received.timestamp() * 1000),
        },
        "isBase64Encoded": bool(request.body) and not text,
    }


def make_response(payload: bytes) -> Response:
    """Make the HTTP response from the payload that the function returned.

    A payload without a `statusCode` becomes the JSON body of a 200 response (API Gateway developer guide, "Lambda function response
    for format 2.0").

    Raises:
        ValueError, TypeError, AttributeError: the payload is no response; the gateway responds with 500.
    """
    returned = json.loads(payload)
    if not (isinstance(returned, dict) and "statusCode" in returned):
        inferred = returned.encode() if isinstance(returned, str) else payload
        return Response(200, [("content-type", "application/json"), ("content-length", str(len(inferred)))], inferred)
    content = decode_body(returned)
    headers = [(name.lower(), _text(value)) for name, value in (returned.get("headers") or {}).items()]
    return Response(
        int(returned["statusCode"]),
        [
            *((name, value) for name, value in headers if name not in HOP_BY_HOP),
            *(("set-cookie", cookie) for cookie in returned.get("cookies") or []),
            ("content-length", str(len(content))),
        ],
        content,
    )


def decode_body(returned: dict[str, Any]) -> bytes:
    """Return the body, as bytes, of a function's response that has a `statusCode`."""
    content = returned.get("body") or ""
    if returned.get("isBase64Encoded"):
        return base64.b64decode(content, validate=True)
    return (content if isinstance(content, str) else json.dumps(content)).encode()


def make_gateway_response(status: int, sentence: str) -> Response:
    """Make the response of the gateway itself, when it does not call the function or the function fails."""
    content = json.dumps({"message": sentence}, separators=(",", ":")).encode()
    return Response(status, [("content-type", "application/json"), ("content-length", str(len(content)))], content)


def _combined(headers: Sequence[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Return headers in lower case, with duplicates joined by commas, and the cookies, which are not among these headers."""
    combined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in ((name.lower(), value) for name, value in headers):
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
        elif name not in HOP_BY_HOP:
            combined[name] = f"{combined[name]},{value}" if name in combined else value
    return combined, cookies


def _is_text(headers: dict[str, str]) -> bool:
    # JSON cannot hold compressed bytes as text. AWS documents this rule for load balancers only.
    if headers.get("content-encoding", "identity") != "identity":
        return False
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type in TEXT_TYPES


def _decoded(path: str) -> str:
    """Return the path as an HTTP API sends it: decoded, in spite of the name `rawPath`, and truncated at a decoded `?`.

    REST APIs, function URLs and load balancers send it encoded. Seen on AWS: honojs/hono issue 2156,
    fastify/aws-lambda-fastify issue 169, and the captures cited in middleapi/standard-server pull request 93.
    """
    return unquote(path).partition("?")[0]


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
