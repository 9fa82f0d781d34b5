"""The client libraries people use work unchanged: each runs in an environment of its own, against one live endpoint with a key.

`make test-clients` makes the environments and runs this. A script in scripts/ has the snippet of README.md here (from `README` to
`Checks`) and the checks; it reports what its client returned, which must be what a plain HTTP request gets.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.clients import https
from tests.conftest import INT8, ROOT

if not os.environ.get("RUN_CLIENTS"):
    pytest.skip("the client libraries are tested by `make test-clients`", allow_module_level=True)

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / "build/clients"
ADDRESS = "http://127.0.0.1:8080"
"""Of the endpoint in every script; replaced by the real one."""
SECURE_ADDRESS = "https://127.0.0.1:8080"
"""The same by HTTPS."""
KEY = "a-test-key"
QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Keeps the clients from calling anyone but the endpoint."""
SECONDS = 120

TEXT = "How is the weather?"
TEXTS = [TEXT, "Is it raining?"]
DOCUMENTS = ["A cat sleeps.", "The weather is sunny today.", "It rained all morning."]
LONG = " ".join(str(number) for number in range(400))


@dataclass(frozen=True)
class Client:
    """A library and the script that exercises it; `name` is that of its environment."""

    name: str
    script: str

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def command(self) -> list[str]:
        interpreter = "node" if self.script.endswith(".mjs") else str(self.environment / "bin/python")
        return [interpreter, f"client{Path(self.script).suffix}"]


CLIENTS = [
    *(Client(f"huggingface_hub-{version}", "huggingface_hub.py") for version in ("0.28", "0.30", "0.36", "1.1", "2.4")),
    Client("openai", "openai.py"),
    Client("mistralai", "mistralai.py"),
    Client("tei-client", "tei_client.py"),
    Client("langchain-huggingface", "langchain_huggingface.py"),
    Client("langchain-openai", "langchain_openai.py"),
    Client("langchain-community", "langchain_community.py"),
    Client("llama-index", "llama_index.py"),
    Client("haystack", "haystack.py"),
    Client("chromadb", "chromadb.py"),
    Client("litellm", "litellm.py"),
    Client("ollama", "ollama.py"),
    Client("bedrock", "bedrock.py"),
    Client("rerank", "rerank.py"),
    Client("cohere", "cohere.py"),
    Client("voyageai", "voyageai.py"),
    Client("huggingface-inference-2.8", "huggingface_inference_2.mjs"),
    Client("huggingface-inference-4.13", "huggingface_inference.mjs"),
    Client("openai-js", "openai.mjs"),
]


@dataclass(frozen=True)
class Report:
    """The report of a script: by the name of each case, what the client returned and what its exception said."""

    client: Client
    version: str
    answers: dict[str, Any]
    errors: dict[str, str]
    warnings: list[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model, with a prompt, which its authors gave it none of."""
    folder = tmp_path_factory.mktemp("model")
    manifest = json.loads((INT8 / "manifest.json").read_text())
    for name in manifest["files"]:
        (folder / name).symlink_to(INT8 / name)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"prompts": {"query": "query: "}}))
    return folder


@pytest.fixture(scope="module")
def url(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the endpoint listens."""
    log = tmp_path_factory.mktemp("server") / "log"
    environment = {name: value for name, value in os.environ.items() if name != "AUTH"}
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "events.serve", "--port", "0"],
            cwd=ROOT,
            env=environment | {"MODEL_DIR": str(model), "API_KEYS": KEY},
            stdout=output,
            stderr=output,
        )
        try:
            yield listening(server, log)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


def listening(server: subprocess.Popen[bytes], log: Path) -> str:
    """The address that `server` says it listens on."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(r"Listening on (http://\S+)/ ", log.read_text()):
            return found[1]
        time.sleep(0.1)
    pytest.fail(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def secure(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[https.Https]:
    """Where the endpoint listens by HTTPS."""
    with https.serve(url, tmp_path_factory.mktemp("https")) as secure:
        yield secure


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    """A plain HTTP client with the key."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def given(http: httpx.Client) -> dict[str, Any]:
    """Return the texts that the scripts send."""
    tokens = http.post("/tokenize", json={"inputs": TEXTS}).json()
    return {
        "text": TEXT,
        "texts": TEXTS,
        "long": LONG,
        "documents": DOCUMENTS,
        "ids": [[token["id"] for token in text] for text in tokens],
    }


@pytest.fixture(scope="module")
def plain(http: httpx.Client, given: dict[str, Any]) -> dict[str, Any]:
    """Return the response to a plain HTTP request in each case."""

    def post(inputs: object, **options: object) -> Any:  # noqa: ANN401 - whatever was answered
        return http.post("/", json={"inputs": inputs, **options}).raise_for_status().json()

    text, texts, cut = post(TEXT), post(TEXTS), post(LONG)
    dimensions, prompt, unnormalized = post(TEXT, dimensions=64), post(TEXT, prompt_name="query"), post(TEXT, normalize=False)
    cut_left = post(LONG, truncation_direction="left")
    similarity = post({"source_sentence": TEXT, "sentences": TEXTS})
    openai = http.post("/v1/embeddings", json={"input": TEXT}).json()
    reranked = http.post("/rerank", json={"query": TEXT, "texts": DOCUMENTS})
    ranks = [[rank["index"], rank["score"]] for rank in reranked.json()]
    ranked = [DOCUMENTS[index] for index, _ in ranks]
    return {
        **dict.fromkeys(("ranks", "async ranks", "old ranks", "jina ranks", "cohere ranks", "voyage ranks"), ranks),
        **dict.fromkeys(("infinity ranks", "vllm ranks", "huggingface ranks"), ranks),
        **dict.fromkeys(("best ranks", "old best ranks", "cohere best ranks", "voyage best ranks", "best ranked"), ranks[:2]),
        **dict.fromkeys(("ranked documents", "voyage ranked documents"), ranked),
        "readme rerank": 1,
        "rerank usage": int(reranked.headers["x-compute-tokens"]),
        **dict.fromkeys(("prompt of an older client", "langchain text", "langchain titan"), text[0]),
        "titan by type": text,
        **dict.fromkeys(("langchain texts", "langchain async", "langchain titan texts", "langchain cohere"), texts),
        **dict.fromkeys(("cohere without types", "cohere content", "langchain nvidia"), texts),
        **{f"{name} vectors": post(TEXTS, output_dtype=name) for name in ("int8", "uint8", "binary", "ubinary")},
        "cohere usage": [sum(map(len, given["ids"]))] * 2,
        "voyage usage": openai["usage"]["total_tokens"],
        "langchain nvidia query": prompt,
        "langchain nvidia cut": cut,
        "langchain cohere query": post(TEXT, prompt_name="query"),
        "exception": "ValidationException",
        "readme": text[0],
        "readme similarity": post({"source_sentence": TEXT, "sentences": ["Is it raining?", "I like ice cream."]}),
        **dict.fromkeys(("text", "normalize", "short", "base_url", "model a call", "endpoint", "all headers"), text),
        **dict.fromkeys(("openai text", "token ids"), text),
        **dict.fromkeys(("texts", "async", "float", "lists of token ids"), texts),
        **dict.fromkeys(("no base", "azure", "azure base", "azure deployment", "azure async", "azure v1"), texts),
        **dict.fromkeys(("openai texts", "huggingface texts", "huggingface async"), texts),
        "base64": post(TEXTS, encoding_format="base64"),
        "nearest": [[TEXTS[1]]],
        "dimensions": dimensions,
        "prompt": prompt,
        "unnormalized": unnormalized,
        **dict.fromkeys(("cut", "cut right"), cut),
        **dict.fromkeys(("cut left", "cut left (lower case)"), cut_left),
        "all options": post(LONG, normalize=False, prompt_name="query", truncation_direction="left"),
        **dict.fromkeys(("similarity", "async similarity", "huggingface similarity"), similarity),
        "usage": [openai["usage"]["prompt_tokens"]] * 2,
        "models": [openai["model"]],
        **dict.fromkeys(("model", "short model", "info"), openai["model"]),
        "tokens": [token for ids in given["ids"] for token in ids],
        "decoded": http.post("/decode", json={"ids": given["ids"]}).raise_for_status().json(),
    }


@pytest.fixture(scope="module")
def sentences(http: httpx.Client) -> dict[str, str]:
    """The server's sentence in each case that fails.

    That about a text that is too long has no field here, because each API calls it otherwise.
    """

    def failing(text: str, **options: object) -> str:
        sentence: str = http.post("/", json={"inputs": text, **options}).json()["error"]
        return sentence

    key = "Invalid credentials in Authorization header"
    empty = "cannot be empty"
    return {
        **dict.fromkeys(
            ("key", "openai key", "azure key", "huggingface key", "old key", "jina key", "voyage key", "huggingface ranks key"), key
        ),
        **dict.fromkeys(("empty", "async empty", "azure empty", "huggingface empty", "voyage empty"), empty),
        "prompt": failing(TEXT, prompt_name="nonsense"),
        **dict.fromkeys(("long", "nvidia long"), failing(LONG, truncate=False).partition("`inputs`")[2]),
        "dimensions": failing(TEXT, dimensions=100_000),
    }


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """One row a client; kept in build/clients/table.md."""
    rows = ["| client | version | answers | failures |", "|---|---|---|---|"]
    yield rows
    (ENVIRONMENTS / "table.md").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def report(request: pytest.FixtureRequest, url: str, secure: https.Https, given: dict[str, Any], table: list[str]) -> Report:
    """Return the report of the client's script."""
    client: Client = request.param
    if client.command[0] == "node" and shutil.which("node") is None:
        table.append(f"| {client.name} | | not run: node is not on PATH | |")
        pytest.skip(f"{client.name}: node is not on PATH")
    script = HERE / "scripts" / client.script
    shared = HERE / "shared" / f"checking{script.suffix}"
    (client.environment / client.command[1]).write_text(
        script.read_text().replace(SECURE_ADDRESS, secure.url).replace(ADDRESS, url)
    )
    shutil.copy(shared, client.environment)
    ran = subprocess.run(
        client.command,
        cwd=client.environment,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(client.environment),
            "API_KEY": KEY,
            "AWS_CA_BUNDLE": str(secure.certificate),
            **QUIET,
        },
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    report = Report(client, **json.loads(ran.stdout.splitlines()[-1]))
    table.append(f"| {client.name} | {report.version} | {', '.join(report.answers)} | {', '.join(report.errors)} |")
    return report


def bits(value: object) -> object:
    """Numbers as the bytes of float32, which JSON's decimals stand for; anything else as it is."""
    array = np.asarray(value)
    return (array.shape, array.astype(np.float32).tobytes()) if array.dtype.kind in "fi" else value


def test_every_answer_is_what_a_plain_request_gets(report: Report, plain: dict[str, Any]) -> None:
    """Bit for bit, with every option the client has."""
    assert report.answers
    assert [name for name, answer in report.answers.items() if bits(answer) != bits(plain[name])] == []


def test_every_exception_tells_the_servers_sentence(report: Report, sentences: dict[str, str]) -> None:
    """A user sees what was wrong, where the client looks at failures at all."""
    assert {name: said for name, said in report.errors.items() if sentences[name] not in said} == {}


def test_a_cut_text_is_told_where_the_client_listens(report: Report) -> None:
    """huggingface_hub's later versions log the warning header."""
    heard = report.client.name == "huggingface_hub-2.4"
    assert report.warnings == (["1 of 1 inputs were cut to 256 tokens"] if heard else [])
