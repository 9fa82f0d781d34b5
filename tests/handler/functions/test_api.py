"""The HTTP function's handler: which events it takes, and how plain invocations fail."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from handler import errors
from handler.bootstrap import Handler
from handler.cache.codec import Exact32
from handler.cache.key import CacheKeys
from handler.cache.memory import Memory
from handler.cache.vector_cache import MEMORY_ONLY, VectorCache
from handler.config import Settings
from handler.doors import door_of
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization
from handler.embedding_service import EmbeddingService
from handler.functions.api import make_handler
from handler.service import Service
from handler.vectors import TokenIds, Vectors
from tests.conftest import INT8, ROOT, Client, ClientOf, serve
from tests.handler.known_events import HTTP_EVENTS, NOT_HTTP
from tests.secrecy import overheard

WORDS = "the user's own words"


@pytest.fixture(scope="module")
def answer(service: Service) -> Handler:
    """The function's handler with the default model."""
    return overheard(make_handler(service, None))


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_an_http_event_is_answered_by_an_http_reply(answer: Handler, name: str) -> None:
    """The response has the shape that its front door needs."""
    reply = answer(json.loads((ROOT / f"events/{name}.json").read_text()), None)
    assert reply["statusCode"] == 200
    assert [len(vector) for vector in json.loads(reply["body"])] == [384]


@pytest.mark.parametrize("name", NOT_HTTP)
def test_events_of_other_kinds_are_refused_by_name_and_never_reach_mangum(answer: Handler, name: str) -> None:
    """Mangum would take some of them for requests."""
    assert door_of(NOT_HTTP[name]) is None
    with pytest.raises(
        errors.Validation, match=r"This function takes HTTP requests, \{\"inputs\": …\} and \{\"records\": \[…\]\}. Given: "
    ):
        answer(NOT_HTTP[name], None)


def test_a_plain_invocation_is_answered_by_the_json_of_its_vectors(answer: Handler, client: Client) -> None:
    """They are the same bytes as over HTTP, with options at the root."""
    event = {"inputs": ["one", "two"], "normalize": False, "dimensions": 5}
    assert answer(event, None) == client.post(event).body


FAILURES: dict[str, tuple[dict[str, Any], type[errors.EmbeddingError], str]] = {
    "empty": ({"inputs": []}, errors.Empty, "`inputs` cannot be empty"),
    "wrong type": ({"inputs": 3}, errors.Validation, "`inputs` must be a string or a list of strings. Given: a number"),
    "too many": ({"inputs": ["a"] * 2049}, errors.Validation, "batch size 2049 > maximum allowed batch size 2048"),
    "surrogate": (
        {"inputs": "\ud800"},
        errors.Tokenizer,
        "`inputs[0]` is not valid Unicode: it holds the lone surrogate U+D800 at position 0",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_plain_invocation_fails_by_an_exception_named_by_its_error_type(answer: Handler, name: str) -> None:
    """Step Functions matches that name; the sentence is the one of HTTP responses."""
    event, expected, sentence = FAILURES[name]
    with pytest.raises(errors.EmbeddingError, match=f"^{re.escape(sentence)}$") as raised:
        answer(event, None)
    assert type(raised.value) is expected
    assert raised.value.__context__ is None  # Lambda would log it, stack and all


class Failing:
    """An encoder that raises an unforeseen exception."""

    hidden = 384
    kernels = ""

    def encode(self, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int) -> Vectors:
        del sequences, deadline, prompt_tokens
        raise RuntimeError(WORDS)

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float) -> list[Vectors]:
        return [self.encode(sequences, deadline, 0)]


@pytest.mark.parametrize("direct", [False, True])
def test_an_unforeseen_failure_is_reported_by_an_id_and_nothing_else(capsys: pytest.CaptureFixture[str], *, direct: bool) -> None:
    """The log has the place in the code under this id, and no text of the user."""
    settings, manifest = Settings.from_environment({"MODEL_DIR": str(INT8)}), Manifest.read(INT8)
    cache = VectorCache(CacheKeys("", ""), Exact32(manifest.dimension), Memory(0), MEMORY_ONLY)
    failing = EmbeddingService(settings, manifest, Tokenization(INT8, manifest.max_length), Failing(), cache)
    answer = overheard(make_handler(failing, None))
    if direct:
        with pytest.raises(errors.Internal) as raised:
            answer({"inputs": WORDS}, None)
        sentence = str(raised.value)
    else:
        reply = Client(answer).post({"inputs": WORDS})
        assert (reply.status, reply.json["error_type"]) == (500, "Internal")
        sentence = reply.json["error"]
    (incident,) = re.findall(r"^Internal error; its id in the log is ([0-9a-f]{12})$", sentence)
    logged = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (logged["incident"], logged["error"]) == (incident, "RuntimeError")
    assert "encode" in logged["trace"]
    assert WORDS not in json.dumps(logged)


def test_importing_the_handler_outside_lambda_loads_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first event loads it; a deployment without a model refuses that event with a sentence."""
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "none"))
    from handler.functions.api import handler  # noqa: PLC0415 - it is the import that is tested

    with pytest.raises(errors.Backend, match="The model cannot be served"):
        handler({"inputs": "a"}, None)


SETTINGS = {
    "MAX_CLIENT_BATCH_SIZE": ("0", "MAX_CLIENT_BATCH_SIZE must be a whole number above 0; it is '0'"),
    "AUTO_TRUNCATE": ("maybe", "AUTO_TRUNCATE must be true or false; it is 'maybe'"),
    "THREADS": ("password=abc", "THREADS must be a whole number above 0; it is 'password=abc'"),
    "CACHE_MEMORY_MB": ("-1", "CACHE_MEMORY_MB must be a whole number; it is '-1'"),
    "CACHE_MIN_TOKENS": ("few", "CACHE_MIN_TOKENS must be a whole number; it is 'few'"),
    "CACHE_TTL_DAYS": ("0", "CACHE_TTL_DAYS must be a whole number above 0; it is '0'"),
    "CACHE_BUDGET_MS": ("0.5", "CACHE_BUDGET_MS must be a whole number above 0; it is '0.5'"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_unusable_setting_is_logged_and_not_reported_to_callers(
    name: str, client_of: ClientOf, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has its name and value. Callers get an id for the operator: /health requires no key."""
    value, sentence = SETTINGS[name]
    client = client_of(INT8, **{name: value})
    logged = json.loads(capsys.readouterr().err.splitlines()[0])
    assert logged["reason"] == sentence
    sentence = f"The model cannot be served; the reason is in the log under {logged['incident']}"
    for reply in (client.post({"inputs": "a"}), client.get("/health"), client.get("/info")):
        assert (reply.status, reply.json) == (424, {"error": sentence, "error_type": "Backend"})


def test_threads_follow_the_memory_that_was_paid_for() -> None:
    """There is one for each 1,769 MB under Lambda, and no more than there are cores."""
    visible = serve(INT8).settings.threads
    one = serve(INT8, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="3008").settings.threads
    ten = serve(INT8, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="10240").settings.threads
    assert (one, ten) == (1, min(5, visible))


def test_an_http_request_imports_nothing_that_only_records_need() -> None:
    """The first plain invocation imports it. A process of its own is needed, since modules stay imported."""
    program = """
import json, sys
from handler.functions.api import handler
def pipelines():
    ours = ("handler.sources", "handler.sinks", "handler.pipeline", "handler.records")
    return [name for name in sys.modules if name.startswith(ours)]
reply = handler(json.load(open("events/http_api_v2.json")), None)
print(reply["statusCode"], len(pipelines()))
handler({"inputs": "a"}, None)
print("handler.sources" in pipelines())
"""
    environment = {"PATH": "/usr/bin:/bin", "MODEL_DIR": str(INT8), "AUTH": "none"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["200", "0", "True"]
