"""The published schema of the task, and our own OpenAPI document, compared with real requests and responses."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.http import openapi
from handler.http.routes import ROUTES
from tests.conftest import INT8, ROOT, Client

SCHEMAS = Path(__file__).with_name("schemas")
INPUT, OUTPUT = (json.loads((SCHEMAS / f"feature-extraction-{kind}.json").read_text()) for kind in ("input", "output"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def optional(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Generate a field with a value that the schema allows, or no field."""
    field = INPUT["properties"][name]
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    values: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "null": st.none(),
        "integer": st.integers(1, 384),
        "string": st.sampled_from(field.get("enum", ["query"])),
    }
    given_one = st.one_of([values[kind] for kind in kinds]).map(lambda value: {name: value})
    return st.one_of(st.just({}), given_one)


TEXTS = st.one_of(st.text(min_size=1, max_size=30), st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=3))
REQUESTS = st.tuples(TEXTS, *(optional(name) for name in INPUT["properties"] if name not in {"inputs", "prompt_name"})).map(
    lambda parts: {"inputs": parts[0]} | {name: value for part in parts[1:] for name, value in part.items()}
)


@settings(max_examples=200, deadline=None)
@given(fields=REQUESTS)
def test_requests_that_the_task_s_schema_allows_get_responses_of_its_schema(client: Client, fields: dict[str, Any]) -> None:
    """The response is an array of arrays of numbers; only base64, which is this endpoint's own, is not in the schema."""
    jsonschema.validate(fields, INPUT)
    reply = client.post(fields)
    assert reply.status == 200, (fields, reply.body)
    if fields.get("encoding_format") != "base64":
        jsonschema.validate(reply.json, OUTPUT)
    inputs = fields["inputs"]
    assert len(reply.json) == (1 if isinstance(inputs, str) else len(inputs))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the endpoint by HTTP on loopback."""
    command = [sys.executable, "-m", "events.serve", "--port", "0"]
    environment = os.environ | {"MODEL_DIR": str(INT8), "AUTH": "none"}
    log = tmp_path_factory.mktemp("serve") / "log"  # a file: nobody has to read it for the server to go on
    with log.open("w") as output, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output) as server:
        deadline = time.monotonic() + 60
        while "\n" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield log.read_text().split()[2]
        server.terminate()


SEARCH = "/search"
"""A deployment without an index refuses it: tests/search has its examples."""


def test_the_examples_of_our_document_work(client: Client) -> None:
    """Each example is sent to every path that has its schema."""
    documented = [(path, route) for route in ROUTES if route.request for path in route.paths if path != SEARCH]
    tried = set()
    for path, route in documented:
        schema = openapi.SCHEMAS[route.request]
        for example in schema["examples"]:
            reply = client.post(example, re.sub("{.*}", "all-MiniLM-L6-v2", path))
            assert reply.status == 200, (path, reply.body)
            jsonschema.validate(example, {"components": {"schemas": openapi.SCHEMAS}, **schema})
            schemas = {"components": {"schemas": openapi.SCHEMAS}, "$ref": f"#/components/schemas/{route.response}"}
            jsonschema.validate(reply.json, schemas)
            tried.add(path)
    assert tried == {path for path, _ in documented}


def test_the_document_and_the_routes_are_the_same(client: Client) -> None:
    """A client can use every documented operation; only pages for browsers are left out of the document."""
    documented = client.get("/openapi.json").json["paths"]
    routed = {path.replace(":path}", "}") for route in ROUTES for path in route.paths}
    assert routed - documented.keys() == {"/try", "/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"}
    for path, operations in documented.items():
        allowed = client.request("OPTIONS", re.sub("{.*}", "a/b", path)).headers["allow"].split(", ")
        assert {method.upper() for method in operations if method != "parameters"} <= set(allowed), path


def test_generated_requests_find_no_status_that_the_document_lacks(url: str, tmp_path: Path) -> None:
    """Schemathesis sends the requests by HTTP. No response is a 5xx, and each has its documented shape.

    It takes 20 s and more, because it sends hundreds of requests to every route that the document has.
    """
    assert httpx.get(f"{url}openapi.json").status_code == 200
    command: list[str | Path] = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{url}openapi.json",
        "--checks",
        CHECKS,
        "--seed",
        "7",
    ]
    command += ["--suppress-health-check", "filter_too_much"]  # most random strings are no part of a path
    command += ["--max-examples", "5", "--phases", "examples,coverage,fuzzing", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "No issues found" in done.stdout or "passed" in done.stdout
