"""Every path that clients post to, through every front door."""

import base64
import gzip
import json
from types import SimpleNamespace
from typing import Any

import pytest

from handler.bootstrap import Handler
from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import Client
from tests.contract.example_requests import PATHS, SERVED, event

TEXT = "Today is a sunny day and I will get some ice cream."
BODY = json.dumps({"inputs": TEXT})


@pytest.fixture(scope="module")
def answer(service: Service) -> Handler:
    """Make a handler that requires no key."""
    return make_handler(service, None)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("suffix", ["", "/"])
def test_every_path_of_feature_extraction_answers_the_same(client: Client, path: str, suffix: str) -> None:
    """Clients make paths with a slash at the end or two at the beginning."""
    expected = client.post({"inputs": TEXT})
    assert client.post({"inputs": TEXT}, path + suffix).body == expected.body
    assert client.post({"inputs": TEXT}, "/" + path).body == expected.body


@pytest.mark.parametrize("path", ["/models/other/model", "/pipeline/feature-extraction/other/model"])
def test_another_model_in_the_path_is_not_found(client: Client, path: str) -> None:
    """The sentence has both names."""
    sentence = f"This endpoint serves {SERVED}, not other/model"
    assert client.post({"inputs": TEXT}, path).error == (404, "Validation", sentence)


@pytest.mark.parametrize("path", ["/predict", "/embed_sparse"])
def test_tasks_of_other_models_are_refused(client: Client, path: str) -> None:
    """The status is 424, as in text-embeddings-inference."""
    status, kind, sentence = client.post({"inputs": TEXT}, path).error
    assert (status, kind) == (424, "Backend")
    assert "This model embeds" in sentence


def rest(path: str, stage: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of an event
    """Make an event of a REST API."""
    made = event("rest_v1", path=path, **changes)
    made["requestContext"] |= {"stage": stage, "path": f"/{stage}{path}"}
    return made


def http_api(path: str, stage: str) -> dict[str, Any]:
    """Make an event of an HTTP API."""
    made = event("http_api_v2", rawPath=path)
    made["requestContext"] |= {"stage": stage, "http": made["requestContext"]["http"] | {"path": path}}
    return made


def custom_domain(path: str) -> dict[str, Any]:
    """Make an event of a REST API behind a custom domain with a base path."""
    made = rest(f"/base{path}", "prod", resource="/{proxy+}", pathParameters={"proxy": path.removeprefix("/")})
    made["requestContext"]["path"] = f"/base{path}"
    return made


def prefixed(path: str) -> dict[str, Any]:
    """Make an event of a REST API whose path has the stage in it."""
    made = rest(f"/prod{path}", "prod")
    made["requestContext"]["path"] = f"/prod{path}"
    return made


STAGES = {
    "REST, stage apart": rest("/v1/models", "prod", httpMethod="GET"),
    "REST, stage that a path begins with": rest("/v1/models", "v1", httpMethod="GET"),
    "REST, stage in the path": prefixed("/v1/models") | {"httpMethod": "GET"},
    "REST, base path of a custom domain": custom_domain("/v1/models") | {"httpMethod": "GET"},
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_or_a_base_path_is_no_part_of_the_path(answer: Handler, name: str) -> None:
    """Front doors put them in different places."""
    reply = answer(STAGES[name], None)
    assert reply["statusCode"] == 200, reply["body"]
    assert json.loads(reply["body"])["data"][0]["id"] == SERVED


@pytest.mark.parametrize("path", ["/prod", "/prod/", "/prod/embed", "/embed"])
def test_the_stage_of_an_http_api_is_no_part_of_the_path(answer: Handler, path: str) -> None:
    """Every stage except the default one stands before the path."""
    assert answer(http_api(path, "prod"), None)["statusCode"] == 200


@pytest.mark.parametrize("stage", ["$default", "prod"])
def test_an_http_api_s_base_path_is_no_part_of_the_path(answer: Handler, stage: str) -> None:
    """Behind a custom domain with a mapping, `rawPath` lacks the base path; requestContext.http.path can have it."""
    mapped = http_api("/base/embed", stage) | {"rawPath": "/embed"}
    assert answer(mapped, None)["statusCode"] == 200


@pytest.mark.parametrize("name", ["http_api_v2", "rest_v1", "function_url", "alb"])
def test_a_base64_body_is_read_from_every_door(answer: Handler, name: str) -> None:
    """Front doors encode bodies that they consider binary."""
    encoded = event(name, body=base64.b64encode(BODY.encode()).decode(), isBase64Encoded=True)
    assert answer(encoded, None)["body"] == answer(event(name), None)["body"]


@pytest.mark.parametrize(("name", "compressed"), [("http_api_v2", True), ("function_url", True), ("alb", True), ("rest_v1", False)])
def test_a_response_is_compressed_if_client_and_front_door_support_it(answer: Handler, name: str, *, compressed: bool) -> None:
    """A REST API would send the base64 as text, so it gets JSON."""
    plain = answer(event(name), None)["body"]
    asked = event(name)
    asked["headers"]["accept-encoding"] = "gzip, deflate, br"
    if "multiValueHeaders" in asked:
        asked["multiValueHeaders"]["accept-encoding"] = ["gzip, deflate, br"]
    reply = answer(asked, None)
    assert reply["isBase64Encoded"] is compressed
    body = gzip.decompress(base64.b64decode(reply["body"])).decode() if compressed else reply["body"]
    assert body == plain
    assert len(reply["body"]) < 0.65 * len(plain) if compressed else reply["body"] == plain


@pytest.mark.parametrize("accepted", ["gzip;q=0", "identity", "br", "gzip; q=0.0, br"])
def test_a_response_is_not_compressed_if_the_client_refuses_it(client: Client, accepted: str) -> None:
    """The quality 0 means a refusal."""
    assert "content-encoding" not in client.request("POST", "/", BODY.encode(), accept_encoding=accepted).headers


def test_a_gzip_body_is_read(client: Client) -> None:
    """A body that is not gzip, or that inflates beyond the limit, is refused."""
    packed = gzip.compress(BODY.encode())
    expected = client.post({"inputs": TEXT}).body
    assert client.request("POST", "/", packed, content_encoding="gzip", content_type="application/json").body == expected
    assert client.request("POST", "/", packed, content_encoding="x-gzip").body == expected
    halves = gzip.compress(BODY[:20].encode()) + gzip.compress(BODY[20:].encode())
    assert client.request("POST", "/", halves, content_encoding="gzip").body == expected
    for broken in (BODY.encode(), packed[:-5], packed + b"rest"):
        sentence = "The body says it is gzip, and is not, or not whole"
        assert client.request("POST", "/", broken, content_encoding="gzip").error == (400, "Validation", sentence)
    assert client.request("POST", "/", packed, content_encoding="br").error[:2] == (415, "Validation")
    bomb = gzip.compress(b'"' + b"a" * 20_000_000 + b'"')
    assert client.request("POST", "/", bomb, content_encoding="gzip").error == (
        413,
        "Validation",
        "the body inflates to more than 6291556 bytes",
    )


def test_a_preflight_allows_the_key_and_every_header(client: Client) -> None:
    """A browser sends a preflight before it posts."""
    reply = client.request(
        "OPTIONS",
        "/v1/embeddings",
        origin="https://example.com",
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type,x-use-cache,api-key,x-api-key,x-stainless-os",
    )
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    assert (
        reply.headers["access-control-allow-headers"] == "authorization,content-type,x-use-cache,api-key,x-api-key,x-stainless-os"
    )
    assert "POST" in reply.headers["access-control-allow-methods"]


def test_a_browser_may_read_the_response_and_its_headers(client: Client) -> None:
    """CORS covers errors too."""
    for body, status in ((BODY, 200), ("{}", 422)):
        reply = client.request("POST", "/", body.encode(), origin="https://example.com", content_type="application/json")
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "x-compute-tokens" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("path", "allowed"), [("/embed", "POST, OPTIONS"), ("/", "POST, GET, HEAD, OPTIONS"), ("/nothing", "OPTIONS")]
)
def test_options_lists_the_methods(client: Client, path: str, allowed: str) -> None:
    """A proxy sends OPTIONS without the headers of a preflight."""
    reply = client.request("OPTIONS", path)
    assert (reply.status, reply.body, reply.headers["allow"]) == (204, b"", allowed)


def test_a_response_has_the_id_of_its_invocation(answer: Handler) -> None:
    """The log has the same id. Errors have it too."""
    context = SimpleNamespace(aws_request_id="8476a536", get_remaining_time_in_millis=lambda: 5000)
    for body in (BODY, "{}"):
        assert answer(event("http_api_v2", body=body), context)["headers"]["x-request-id"] == "8476a536"


MALFORMED: dict[str, dict[str, Any]] = {
    "host": {"host": "a:b:c"},
    "port": {"x-forwarded-port": "many"},
    "surrogate": {"x-any": "\ud800"},
    "not a string": {"x-any": 3},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_an_event_that_cannot_be_read_is_refused_as_json(answer: Handler, name: str) -> None:
    """The response is 400, and the handler does not raise."""
    made = event("http_api_v2")
    made["headers"] |= MALFORMED[name]
    reply = answer(made, None)
    assert reply["statusCode"] == 400
    assert json.loads(reply["body"])["error_type"] == "Validation"
    broken = answer(event("http_api_v2", body="%%%", isBase64Encoded=True), None)
    assert broken["statusCode"] == 400
