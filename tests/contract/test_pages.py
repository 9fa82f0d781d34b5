"""Responses with pages for browsers. tests/browser opens the pages in a browser."""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import INT8, ROOT, Client

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""The Accept header of browsers."""
PAGE_BYTES = 60_000
LOAD_BALANCER_BYTES = 1_000_000
ASSETS = ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"]


def test_only_browsers_get_the_page_at_the_root(client: Client) -> None:
    """All others get the health of the endpoint there. `vary` tells caches that the response depends on Accept."""
    page, health = client.request("GET", "/", accept=HTML), client.request("GET", "/", accept="*/*")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body == client.get("/try").body
    assert (health.body, health.headers["content-type"]) == (b"{}", "application/json")
    assert all("Accept" in reply.headers["vary"].split(", ") for reply in (page, health))
    embedding = client.request("POST", "/", json.dumps({"inputs": "a"}).encode(), accept=HTML)
    assert embedding.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/try", "/docs"])
def test_a_page_is_one_small_response_that_runs_only_its_own_scripts(client: Client, path: str) -> None:
    """The policy has the hash of each script and style, and the page has no inline code that the policy would block."""
    page = client.get(path)
    assert len(page.body) < PAGE_BYTES
    html, policy = page.body.decode(), page.headers["content-security-policy"]
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        inside = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", html, re.DOTALL)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inside]
        assert [source for source in re.search(rf"{directive} ([^;]*)", policy)[1].split() if source != "'self'"] == hashes  # type: ignore[index]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert re.findall(r"\s(?:on\w+|style)=|(?:src|href)=\"(?!data:|docs\")[^\"]*", markup) == []


@pytest.mark.parametrize("path", ["/try", "/docs", *ASSETS])
def test_a_browser_can_ask_for_headers_alone(client: Client, path: str) -> None:
    """HEAD gets the headers of GET, and no body."""
    whole, head = client.get(path), client.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_only_two_files_of_swagger_ui_are_served(client: Client) -> None:
    """Any other path under /docs/ is not found."""
    assert b"swagger-ui" in client.get("/docs/swagger-ui.css").body
    assert client.get("/docs/swagger-ui-bundle.js").headers["content-type"].startswith("text/javascript")
    for name in ("flask_swagger_ui.py", "..%2f__init__.py", "LICENSE"):
        assert client.get(f"/docs/{name}").error[:2] == (404, "Validation")


def event(name: str, path: str, **headers: str) -> dict[str, Any]:
    """Make an event of events/ that reads `path`."""
    made: dict[str, Any] = json.loads((ROOT / f"events/{name}.json").read_text())
    return made | {"httpMethod": "GET", "path": path, "body": None, "headers": {**made["headers"], **headers}}


def test_behind_a_rest_api_s_stage_the_page_is_there(service: Service) -> None:
    """The page contains no absolute path, so that all its addresses stay behind the stage."""
    answer = make_handler(service, None)
    made = event("rest_v1", "/try") | {"resource": "/{proxy+}", "pathParameters": {"proxy": "try"}}
    made["requestContext"] |= {"stage": "Prod", "path": "/Prod/try", "httpMethod": "GET"}
    reply = answer(made, None)
    assert reply["statusCode"] == 200
    assert not reply["isBase64Encoded"]
    assert "<h1>Text in, vectors out.</h1>" in reply["body"]


@pytest.mark.parametrize("path", ["/try", *ASSETS])
def test_everything_fits_through_a_load_balancer_compressed(service: Service, path: str) -> None:
    """A load balancer carries 1 MB, and Lambda sends it the compressed page as base64."""
    reply = make_handler(service, None)(event("alb", path, **{"accept-encoding": "gzip, deflate, br"}), None)
    assert reply["isBase64Encoded"]
    assert len(reply["body"]) < LOAD_BALANCER_BYTES
    assert gzip.decompress(base64.b64decode(reply["body"]))


WATCHED = """
import json, sys
opened = []
sys.addaudithook(lambda name, arguments: name == "open" and opened.append(str(arguments[0])))
from handler.functions.api import handler
event = json.loads(open(sys.argv[1]).read())
assert handler(event, None)["statusCode"] == 200
lazy = {"handler.http.pages", "handler.http.openapi", "handler.http.documentation", "handler.http.tei", "flask_swagger_ui", "flask"}
files = [path for path in opened if "/http/page/" in path or "/flask_swagger_ui/" in path]
print(json.dumps([sorted(lazy & sys.modules.keys()), files]))
"""


def test_a_cold_start_loads_nothing_of_the_pages_and_of_unused_dialects() -> None:
    """Their modules are imported and their files opened at the first request for them."""
    command = [sys.executable, "-c", WATCHED, "events/http_api_v2.json"]
    environment = {"MODEL_DIR": str(INT8), "AUTH": "none"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[], []]
