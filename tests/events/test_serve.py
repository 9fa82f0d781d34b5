"""`python -m events.serve` is tested as a user runs it: in its own process, with the real handler, model and HTTP."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "Today is a sunny day and I will get some ice cream."
DIMENSION = 384
ENVIRONMENT = {**os.environ, "AUTH": "none", "MODEL_DIR": os.environ.get("MODEL_DIR", str(ROOT / "build/model"))}


def started(**environment: str) -> subprocess.Popen[str]:
    """Start the server on a free port, which its first line names."""
    return subprocess.Popen(
        [sys.executable, "-m", "events.serve", "--port", "0"],
        cwd=ROOT,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address(server: subprocess.Popen[str]) -> str:
    """Return the server's URL, read from the curl command that it prints."""
    assert server.stdout
    for line in server.stdout:
        if found := re.fullmatch(rf"""curl -d '{{"inputs": "{SENTENCE}"}}' (http://127\.0\.0\.1:\d+)/\n""", line):
            return found[1]
    pytest.fail(f"the server did not say where it listens: {server.communicate()[1]}")


def stopped(server: subprocess.Popen[str]) -> tuple[str, str]:
    """Interrupt `server` and return the rest of its stdout and its stderr."""
    server.send_signal(signal.SIGINT)
    try:
        return server.communicate(timeout=20)
    finally:
        server.kill()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Provide a client of one server, which all tests here share."""
    server = started()
    try:
        with httpx.Client(base_url=address(server), timeout=30) as client:
            yield client
    finally:
        stopped(server)


def vectors(response: httpx.Response) -> list[list[float]]:
    """Return the body of a successful response."""
    assert response.status_code == httpx.codes.OK, response.text
    body: list[list[float]] = response.json()
    return body


def test_health_is_200(client: httpx.Client) -> None:
    """The gateway's event reaches the route."""
    assert client.get("/health").status_code == httpx.codes.OK


def test_one_sentence_gets_one_vector(client: httpx.Client) -> None:
    """The README has the same request as a curl command."""
    answer = vectors(client.post("/", json={"inputs": SENTENCE}))
    assert [len(vector) for vector in answer] == [DIMENSION]


def test_a_body_that_says_it_is_a_form_is_read_as_json(client: httpx.Client) -> None:
    """`curl -d` says that it sends a form, so the event has base64."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = vectors(client.post("/", content=f'{{"inputs": "{SENTENCE}"}}', headers=form))
    assert answer == vectors(client.post("/", json={"inputs": SENTENCE}))


def test_a_chunked_body_is_read_whole(client: httpx.Client) -> None:
    """There are several chunks and no content-length."""
    chunks = (chunk.encode() for chunk in ('{"inputs": ', f'["{SENTENCE}", ', '"Another."]}'))
    answer = vectors(client.post("/", content=chunks, headers={"content-type": "application/json"}))
    assert [len(vector) for vector in answer] == [DIMENSION, DIMENSION]


def test_callers_at_the_same_time_get_their_own_vectors(client: httpx.Client) -> None:
    """One environment handles one request at a time, so responses cannot be mixed up."""
    texts = [f"Sentence number {number}." for number in range(12)]
    alone = [vectors(client.post("/", json={"inputs": text})) for text in texts]
    with ThreadPoolExecutor(len(texts)) as callers:
        together = list(callers.map(lambda text: vectors(client.post("/", json={"inputs": text})), texts))
    assert together == alone


def test_a_body_above_10_mb_is_refused_as_the_gateway_refuses_it(client: httpx.Client) -> None:
    """The function is not called; a body that is one byte shorter reaches it."""
    limit = 10 * 1024 * 1024
    response = client.post("/", content=b"x" * (limit + 1))
    assert (response.status_code, response.json()) == (413, {"message": "Request Entity Too Large"})
    assert "message" not in client.post("/", content=b"x" * limit).json()


def test_a_taken_port_is_reported_in_one_sentence() -> None:
    """It is reported before the model is loaded, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = subprocess.run(
            [sys.executable, "-m", "events.serve", "--port", str(port)],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert server.returncode == 1
    assert server.stderr == (
        f"Cannot serve on 127.0.0.1 port {port}: Address already in use. Choose another port (`make run PORT=…`).\n"
    )


def test_the_server_prints_a_line_per_request_and_stops_quietly() -> None:
    """The line has method, path, status and time, but no query and no body, which may be private."""
    server = started()
    base = address(server)
    httpx.post(f"{base}/embed?secret=1", json={"inputs": SENTENCE}, timeout=30)
    output, errors = stopped(server)
    assert re.search(r"^POST /embed 200 \d+\.\d ms$", output, re.MULTILINE)
    assert SENTENCE not in output
    assert "secret" not in output
    assert "Traceback" not in errors
    assert server.returncode in {0, 130}


def test_a_missing_model_is_reported_at_the_start_and_answered_with_424(tmp_path: Path) -> None:
    """The server keeps running, as a deployed function would."""
    server = started(MODEL_DIR=str(tmp_path / "absent"))
    try:
        response = httpx.post(f"{address(server)}/", json={"inputs": SENTENCE}, timeout=30)
    finally:
        _, errors = stopped(server)
    assert response.status_code == httpx.codes.FAILED_DEPENDENCY
    assert response.json()["error_type"] == "Backend"
    assert errors.count("The model file manifest.json is missing in") == 1
    assert "Traceback" not in errors


@pytest.mark.parametrize("target", ["http://elsewhere.example/health", "HTTPS://elsewhere.example:8443/health?a=http://b/"])
def test_a_request_line_may_have_a_whole_url(client: httpx.Client, target: str) -> None:
    """HTTP/1.1 servers must accept it (RFC 9112, section 3.2.2). Clients that are told of a proxy send it."""
    assert status_of(client, "GET", target) == httpx.codes.OK
    assert status_of(client, "GET", target.replace("/health", "/nothing")) == httpx.codes.NOT_FOUND


@pytest.mark.parametrize("target", ["http://elsewhere.example", "/?next=http://elsewhere.example/nothing"])
def test_a_url_without_a_path_is_the_root(client: httpx.Client, target: str) -> None:
    """A URL in the query is no part of the path."""
    assert status_of(client, "GET", target) == httpx.codes.OK


def status_of(client: httpx.Client, method: str, target: str) -> int:
    """Send a request line as it is, and return the status of the response."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: {client.base_url.host}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])
