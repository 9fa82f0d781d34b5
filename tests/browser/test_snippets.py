"""The snippets of the page, run as a reader runs them: each gets from the endpoint what the page gets."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.browser.conftest import KEY, Endpoint
from tests.browser.form import LONG, TEXTS, embed, snippet_of, wait_for_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
else:
    Page = Any

PRINTED = "\nprint(__import__('json').dumps([[float(number) for number in vector] for vector in vectors]))\n"
COMMANDS = {
    "curl": ("bash", "snippet.sh", ""),
    "Python": (sys.executable, "snippet.py", PRINTED),
    "JavaScript": ("node", "snippet.mjs", "\nconsole.log(JSON.stringify(vectors));\n"),
}
"""By the name of the tab: the program that runs the snippet, its file, and a line that prints the vectors."""
ITEMS = ("data", "embedding")
BY_TYPE = ("embeddings", "by type")
APIS = {
    "Hugging Face": (),
    "OpenAI": ITEMS,
    "Azure OpenAI": ITEMS,
    "Cohere": BY_TYPE,
    "Voyage": ITEMS,
    "Jina": ITEMS,
    "Ollama": ("embeddings",),
    "Amazon Bedrock": BY_TYPE,
}
"""By name: where the response has the vectors."""
LIBRARIES = {
    "Hugging Face": "from huggingface_hub ",
    "OpenAI": "from openai ",
    "Azure OpenAI": "from openai ",
    "Cohere": "import cohere",
    "Voyage": "import voyageai",
    "Jina": "from urllib.request ",
    "Ollama": "import ollama",
    "Amazon Bedrock": "import boto3",
}
"""By API: how the snippet in Python imports the provider's library, if that can send the request."""
REQUESTS: dict[str, tuple[dict[str, str], set[str]]] = {
    "as it is": ({}, set()),
    "all options": (
        {"dimensions": "64", "prompt_name": "query", "truncation_direction": "left", "normalize": "no"},
        {"Voyage", "Ollama"},
    ),
    "int8": ({"output_dtype": "int8"}, {"Hugging Face"}),
    "ubinary": ({"output_dtype": "ubinary", "dimensions": "64", "normalize": "no"}, {"Hugging Face", "Voyage", "Ollama"}),
}
"""By name: the fields of the form, and the APIs whose libraries cannot send them all."""


def choose(page: Page, fields: dict[str, str]) -> None:
    """Fill in the form without sending it."""
    for name, value in fields.items():
        field = page.locator(f"#{name}")
        if name == "normalize":
            field.uncheck()
        elif name == "dimensions":
            field.fill(value)
        else:
            field.select_option(value)


def body_of(fields: dict[str, str]) -> dict[str, Any]:
    """Return the options of a request with the fields of the form."""
    read: dict[str, Callable[[str], Any]] = {"dimensions": int, "normalize": lambda _: False}
    return {name: read.get(name, str)(value) for name, value in fields.items()}


def vectors_in(content: Any, api: str) -> Any:  # noqa: ANN401 - JSON
    """Return the vectors in the content of a response."""
    match APIS[api]:
        case ("data", name):
            return [item[name] for item in content["data"]]
        case (name, _):
            (vectors,) = content[name].values()
            return vectors
        case (name,):
            return content[name]
    return content


def run(api: str, tab: str, snippet: str, folder: Path, **variables: str) -> np.ndarray[Any, Any]:
    """Run a snippet; returns the vectors that it gets."""
    command, file, print_vectors = COMMANDS[tab]
    (folder / file).write_text(snippet + print_vectors)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    done = subprocess.run([command, file], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, snippet + done.stderr
    printed = json.loads(done.stdout)
    return np.array(vectors_in(printed, api) if tab == "curl" else printed, np.float32)


def needs(tab: str) -> None:
    """Skip the test if the program of a tab is not there."""
    if shutil.which(COMMANDS[tab][0]) is None:
        pytest.skip(f"{COMMANDS[tab][0]} is not on PATH")


def test_the_page_offers_exactly_the_apis_that_are_tested(page: Page, guarded: Endpoint) -> None:
    """Each has a snippet in each language."""
    page.goto(guarded.url)
    assert page.locator("#api option").all_inner_texts() == list(APIS)
    assert page.get_by_role("tab").all_inner_texts() == list(COMMANDS)


@pytest.mark.parametrize("tab", COMMANDS)
@pytest.mark.parametrize("name", REQUESTS)
def test_a_snippet_reproduces_the_request_on_the_screen(
    page: Page, guarded: Endpoint, tmp_path: Path, subtests: pytest.Subtests, tab: str, name: str
) -> None:
    """The snippet of each API gets the same bits as the page; the key comes from the environment."""
    needs(tab)
    fields, unable = REQUESTS[name]
    page.goto(guarded.url)
    embed(page, [*TEXTS, LONG], KEY)
    wait_for_result(page)  # with it the page has read which types and prompts there are
    choose(page, fields)
    with page.expect_request(guarded.url) as sent:
        embed(page, [*TEXTS, LONG], KEY)
    body = {"inputs": [*TEXTS, LONG], **body_of(fields)}
    assert json.loads(sent.value.post_data) == body
    expected, _ = guarded.ask(body=body)
    floats, _ = guarded.ask(body=body | {"output_dtype": "float32"})
    for api in APIS:
        if (api, tab) == ("Amazon Bedrock", "Python"):
            continue  # boto3 sends no key without HTTPS: the next test runs it, and `make test-clients`
        with subtests.test(api):
            snippet = snippet_of(page, api, tab)
            hint = page.locator("#snippets-hint").inner_text()
            assert KEY not in snippet
            if tab == "Python":
                assert (LIBRARIES[api] in snippet) == (api not in unable)
                assert ("this snippet uses none" in hint) == (api in unable)
            has_types = api != "Ollama" or "output_dtype" not in fields
            assert ("this snippet gets float32" in hint) == (not has_types)
            theirs = run(api, tab, snippet, tmp_path, API_KEY=KEY)
            assert theirs.tobytes() == np.array(expected if has_types else floats, np.float32).tobytes(), snippet


@pytest.mark.parametrize("tab", COMMANDS)
@pytest.mark.parametrize(
    "fields", [{}, {"output_dtype": "int8"}, {"dimensions": "64", "normalize": "no", "output_dtype": "binary"}]
)
def test_a_snippet_has_no_key_if_the_endpoint_requires_none(
    page: Page, unguarded: Endpoint, tmp_path: Path, subtests: pytest.Subtests, tab: str, fields: dict[str, str]
) -> None:
    """The snippet does not read the environment either."""
    needs(tab)
    page.goto(unguarded.url)
    page.locator("#snippets-hint", has_text="requires no key").wait_for()
    choose(page, fields)
    texts = page.get_by_label("Texts", exact=True).input_value().split("\n")
    floats = {"output_dtype": "float32"}
    for api in APIS:
        with subtests.test(api):
            snippet = snippet_of(page, api, tab)
            assert "API_KEY" not in snippet
            body = {"inputs": texts, **body_of(fields), **(floats if api == "Ollama" else {})}
            theirs = run(api, tab, snippet, tmp_path)
            assert theirs.tobytes() == np.array(unguarded.ask(body=body)[0], np.float32).tobytes(), snippet


def test_the_note_of_bedrock_says_that_boto3_needs_https(page: Page, guarded: Endpoint) -> None:
    """The library raises NoAuthTokenError, or signs the request, if the address is not HTTPS."""
    page.goto(guarded.url)
    snippet = snippet_of(page, "Amazon Bedrock", "Python")
    assert 'os.environ["AWS_BEARER_TOKEN_BEDROCK"] = os.environ["API_KEY"]' in snippet
    assert "boto3 sends a key over HTTPS only" in page.locator("#snippets-hint").inner_text()


def test_the_copy_button_copies(page: Page, guarded: Endpoint) -> None:
    """The button says `Copied`."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(guarded.url)
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.get_by_role("tabpanel").inner_text()
