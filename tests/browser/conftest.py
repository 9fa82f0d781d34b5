"""A browser, and two endpoints for it: one that requires a key and whose model has prompts, and one that requires no key.

`make test-browser` runs this in an environment of its own: nothing of handler/ is imported here.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "build/model"
SCREENS = ROOT / "build/screens"
KEY = "a-key-for-one-tab"
PROMPTS = {"query": "query: ", "passage": "passage: "}
SECONDS = 60

if not os.environ.get("RUN_BROWSER"):
    collect_ignore_glob = ["test_*.py"]  # `make test` needs no browser


@dataclass(frozen=True)
class Endpoint:
    """The address of an endpoint, and the key that it requires."""

    url: str
    key: str = ""

    def ask(self, path: str = "", body: object = None) -> tuple[Any, dict[str, str]]:
        """Send a request with the key; returns content and headers."""
        sent = Request(self.url + path, json.dumps(body).encode() if body else None, {"Authorization": f"Bearer {self.key}"})  # noqa: S310 - ours
        with urlopen(sent, timeout=SECONDS) as response:  # noqa: S310 - ours
            return json.load(response), {name.lower(): value for name, value in response.headers.items()}


@contextmanager
def served(log: Path, **variables: str) -> Iterator[str]:
    """Serve the handler by HTTP; yields the address."""
    environment = {name: value for name, value in os.environ.items() if name not in {"AUTH", "API_KEYS"}}
    with log.open("w") as output:
        server = subprocess.Popen(
            [ROOT / ".venv/bin/python", "-m", "events.serve", "--port", "0"],
            cwd=ROOT,
            env=environment | variables,
            stdout=output,
            stderr=output,
        )
        try:
            until = time.monotonic() + SECONDS
            while not (found := re.search(r"Listening on (http://\S+) ", log.read_text())):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            yield found[1]
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Serve an endpoint that requires a key, with the default model and prompts."""
    folder = tmp_path_factory.mktemp("model")
    manifest = json.loads((MODEL / "manifest.json").read_text())
    for name in manifest["files"]:
        (folder / name).symlink_to((MODEL / name).resolve())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"prompts": PROMPTS}))
    with served(folder / "log", MODEL_DIR=str(folder), API_KEYS=KEY) as url:
        yield Endpoint(url, KEY)


@pytest.fixture(scope="session")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Serve an endpoint that requires no key, as `make run` does, without a cache."""
    with served(tmp_path_factory.mktemp("open") / "log", MODEL_DIR=str(MODEL), AUTH="none", CACHE_MEMORY_MB="0") as url:
        yield Endpoint(url)


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Serve an endpoint that requires no key and returns binary vectors by default."""
    with served(tmp_path_factory.mktemp("binary") / "log", MODEL_DIR=str(MODEL), AUTH="none", OUTPUT_DTYPE="binary") as url:
        yield Endpoint(url)


@pytest.fixture(scope="session")
def searchable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Serve an endpoint that requires a key and searches an index with passages of Python's documentation."""
    log = tmp_path_factory.mktemp("searchable") / "log"
    index = subprocess.Popen(
        [ROOT / ".venv/bin/python", "-m", "tests.search.standing"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert index.stdin
    assert index.stdout
    try:
        variables = json.loads(index.stdout.readline())
        with served(log, MODEL_DIR=str(MODEL), API_KEYS=KEY, **variables) as url:
            yield Endpoint(url, KEY)
    finally:
        index.stdin.close()
        index.wait(20)
        index.stdout.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start Debian's chromium without a screen."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only in the browser's own environment

    with sync_playwright() as playwright:
        # As root, which CI is, chromium has no sandbox.
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            chromium_sandbox=os.geteuid() != 0,
            args=["--disable-lcd-text"],  # coloured edges would double the pictures' bytes
        )
        yield chromium
        chromium.close()


@dataclass(frozen=True)
class Seen:
    """The requests and the complaints of the browser."""

    requests: list[str]
    complaints: list[str]


@pytest.fixture
def seen() -> Seen:
    """Make a record that is filled while the test's page is open."""
    return Seen([], [])


@pytest.fixture
def page(browser: Any, seen: Seen) -> Iterator[Any]:  # noqa: ANN401 - playwright's, whose types are not known to `make lint`
    """Open an empty tab that can reach only this machine."""
    with browser.new_context(viewport={"width": 1280, "height": 1180}) as context:
        context.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
        context.on("request", lambda request: seen.requests.append(request.url))
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        tab.on("pageerror", lambda error: seen.complaints.append(str(error)))
        tab.on("console", lambda message: seen.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        yield tab
