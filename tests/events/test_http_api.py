"""The conversions of requests and responses agree with AWS's documentation and with measurements on AWS."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import http_api

RECEIVED = datetime(2020, 3, 12, 19, 3, 58, 390000, tzinfo=UTC)
REQUEST_ID = UUID("0123456789abcdef0123456789abcdef")


def converted(
    *headers: tuple[str, str], method: str = "POST", path: str = "/", query: str = "", body: bytes = b""
) -> dict[str, Any]:
    """Make the event of a request from 203.0.113.7."""
    request = http_api.Request(method, path, query, headers, body, "203.0.113.7", 8080)
    return http_api.make_event(request, received=RECEIVED, request_id=REQUEST_ID)


def test_a_request_becomes_a_payload_2_event() -> None:
    """The developer guide shows an event with all fields."""
    event = converted(("Host", "api.example.com"), ("User-Agent", "curl/8.5.0"), ("Content-Type", "application/json"), body=b"{}")
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {
            "content-length": "2",
            "content-type": "application/json",
            "host": "api.example.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-5e6a879e-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
        },
        "body": "{}",
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "ASNFZ4mrze8BI0U=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1584039838390,
        },
        "isBase64Encoded": False,
    }


def test_repeated_headers_are_joined_with_commas() -> None:
    """Format 2.0 has no multiValueHeaders."""
    assert converted(("X-Tag", "a"), ("x-tag", "b"))["headers"]["x-tag"] == "a,b"


def test_cookies_are_in_a_list_of_their_own_and_not_in_the_headers() -> None:
    """There is one entry for each cookie, whatever the number of cookie headers."""
    event = converted(("Cookie", "a=1; b=2"), ("cookie", "c=3"))
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in event["headers"]


def test_what_a_request_does_not_have_is_left_out_of_its_event() -> None:
    """AWS sends no empty cookies, parameters or body."""
    event = converted(method="GET")
    assert not {"cookies", "queryStringParameters", "body"} & event.keys()
    assert event["isBase64Encoded"] is False


def test_a_chunked_body_arrives_with_its_length() -> None:
    """The gateway reads the whole body, so the function gets its length and no header of the transfer."""
    headers = converted(("Transfer-Encoding", "chunked"), ("Connection", "close"), body=b"abc")["headers"]
    assert headers["content-length"] == "3"
    assert not {"transfer-encoding", "connection"} & headers.keys()


def test_the_client_is_added_to_those_that_forwarded_the_request() -> None:
    """The last address is that of the gateway's own client."""
    assert converted(("X-Forwarded-For", "192.0.2.1"))["headers"]["x-forwarded-for"] == "192.0.2.1, 203.0.113.7"


@pytest.mark.parametrize(
    ("path", "decoded"),
    [("/", "/"), ("/a%20b", "/a b"), ("/a%2Fb", "/a/b"), ("/%C3%A9", "/é"), ("/a%3Fb=c", "/a"), ("/a+b", "/a+b")],
)
def test_the_path_is_percent_decoded_and_truncated_at_a_decoded_question_mark(path: str, decoded: str) -> None:
    """AWS does so in spite of the name rawPath, as was measured."""
    event = converted(path=path)
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == decoded


def test_the_query_stays_raw_and_is_also_parsed() -> None:
    """Duplicates are joined with commas; an empty value is a value."""
    event = converted(query="a=1&a=%202&b=")
    assert event["rawQueryString"] == "a=1&a=%202&b="
    assert event["queryStringParameters"] == {"a": "1, 2", "b": ""}


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/anything", True),
        ("application/xml", True),
        ("application/javascript", True),
        ("application/x-www-form-urlencoded", False),
        ("application/octet-stream", False),
        ("application/jsonlines", False),
        ("", False),
    ],
)
def test_only_text_types_are_sent_as_text(content_type: str, *, text: bool) -> None:
    """`curl -d` without a header says it sends a form, so its JSON comes as base64."""
    event = converted(("content-type", content_type), body="{é}".encode())
    assert event["isBase64Encoded"] is not text
    assert event["body"] == ("{é}" if text else base64.b64encode("{é}".encode()).decode())


def test_a_compressed_body_is_base64_whatever_its_type() -> None:
    """Compressed bytes are not text."""
    assert converted(("content-type", "application/json"), ("content-encoding", "gzip"), body=b"\x1f\x8b")["isBase64Encoded"]


names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1)
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))


@given(
    st.lists(st.tuples(names, values)),
    st.text("/abc%?20é", max_size=20),
    st.text("abc=&%20+;", max_size=20),
    st.binary(),
)
def test_any_request_becomes_an_event_of_json(headers: list[tuple[str, str]], path: str, query: str, body: bytes) -> None:
    """The event can be written as JSON, and its header names are in lower case."""
    event = converted(*headers, path=path, query=query, body=body)
    assert json.loads(json.dumps(event)) == event
    assert all(name == name.lower() for name in event["headers"])


@given(st.binary())
def test_bytes_that_are_not_text_survive_the_event(body: bytes) -> None:
    """They are sent as base64."""
    event = converted(("content-type", "application/octet-stream"), body=body)
    assert http_api.decode_body(event) == body


@given(st.text())
def test_text_survives_the_event(text: str) -> None:
    """The event has the same characters as the UTF-8 of the request."""
    event = converted(("content-type", "text/plain"), body=text.encode(errors="replace"))
    assert http_api.decode_body(event) == text.encode(errors="replace")


@given(st.integers(200, 599), st.binary(), st.lists(values))
def test_a_reply_keeps_status_body_and_every_cookie(status: int, body: bytes, cookies: list[str]) -> None:
    """Each cookie becomes a set-cookie header."""
    returned = {
        "statusCode": status,
        "cookies": cookies,
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    reply = http_api.make_response(json.dumps(returned).encode())
    assert (reply.status, reply.body) == (status, body)
    assert [value for name, value in reply.headers if name == "set-cookie"] == cookies
    assert ("content-length", str(len(body))) in reply.headers


def test_reply_headers_are_the_functions_with_the_gateways_own_length() -> None:
    """A wrong content-length from the function does not reach the client."""
    returned = {"statusCode": 200, "headers": {"X-Count": 3, "Content-Length": "99"}, "body": "é"}
    assert http_api.make_response(json.dumps(returned).encode()).headers == [("x-count", "3"), ("content-length", "2")]


@pytest.mark.parametrize("payload", [b"[[0.1, 0.2]]", b'{"message": "hello"}', b"null"])
def test_a_reply_without_a_status_is_the_body_of_a_200(payload: bytes) -> None:
    """The gateway infers status and type for format 2.0."""
    reply = http_api.make_response(payload)
    assert (reply.status, reply.body) == (200, payload)
    assert ("content-type", "application/json") in reply.headers


def test_a_reply_that_is_a_string_is_that_string() -> None:
    """The developer guide shows it without the quotes of JSON."""
    assert http_api.make_response(b'"Hello from Lambda!"').body == b"Hello from Lambda!"


@pytest.mark.parametrize("payload", [b"not JSON", b'{"statusCode": "many"}', b'{"statusCode": null}'])
def test_a_payload_that_is_no_response_is_refused(payload: bytes) -> None:
    """The gateway answers 500 then."""
    with pytest.raises((ValueError, TypeError)):
        http_api.make_response(payload)


def test_the_gateways_own_answers_are_a_message() -> None:
    """Clients get the same JSON on AWS."""
    reply = http_api.make_gateway_response(413, "Request Entity Too Large")
    assert (reply.status, reply.body) == (413, b'{"message":"Request Entity Too Large"}')
