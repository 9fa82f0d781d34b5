"""Reranking with a cross-encoder: the scores, what is said about them, and its limits."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.bootstrap import load_service
from handler.embedding.cross_encoder import CrossEncoder
from handler.embedding.manifest import Manifest
from handler.embedding.pairs import PairTokenization
from handler.embedding.tokenization import Tokenization
from handler.errors import OutOfTime
from handler.functions.api import make_handler
from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.conftest import INT8, Client, LocalS3
from tests.contract.example_requests import event
from tests.layers.model import references
from tests.layers.model.references import RERANKERS

QUERY = "what is long"
DOCUMENTS = ["b c", "long " * 12 + "and ends", "A sunny day.", "b c", "is it"]
LIMIT = 24
MODEL = "tests/tiny-reranker"
DAMAGED = "The reranker cannot be served; the reason is in the log under"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a tiny cross-encoder with random weights, as int8."""
    out = tmp_path_factory.mktemp("reranker")
    source = Source(references.write("bert-identity", out / "source", RERANKERS), MODEL, "1")
    build(Order(source, out / "model", "int8", (0, -1), threads=1, passages=20), lambda _: None)
    return out / "model"


def client_with(reranker: Path | str, **settings: str) -> Client:
    """Return a client of a deployment with this reranker."""
    return Client(make_handler(load_service({"MODEL_DIR": str(INT8), "RERANKER_DIR": str(reranker), **settings}), None))


@pytest.fixture(scope="module")
def client(folder: Path) -> Client:
    """Return a client of a deployment with the tiny cross-encoder."""
    return client_with(folder)


@pytest.fixture(scope="module")
def alone(folder: Path) -> Callable[[str, str], float]:
    """Return a function that scores one pair alone, on one thread."""
    manifest = Manifest.read(folder)
    tokenization, encoder = PairTokenization(Tokenization(folder, manifest.max_length)), CrossEncoder(folder, manifest, 1)

    def score(query: str, document: str) -> float:
        (pair,) = tokenization.tokenize(query, [document], "right")
        return shortest(encoder.score([pair.tokens])[0])

    return score


def shortest(score: np.float32) -> float:
    """Return the number that the shortest text of a float32 is read as."""
    return float(str(score))


def ranked(client: Client, path: str = "/rerank", documents: list[str] = DOCUMENTS, **options: object) -> Any:  # noqa: ANN401 - JSON
    """Return the results of a request, in the form of its path."""
    name = "texts" if path == "/rerank" else "documents"
    reply = client.post({"query": QUERY, name: documents, **options}, path)
    assert reply.status == 200, reply.body
    return reply.json if path == "/rerank" else reply.json["results"]


def test_raw_scores_are_the_model_s_own_and_all_others_are_their_sigmoid(
    client: Client, alone: Callable[[str, str], float]
) -> None:
    """As in text-embeddings-inference, whatever the model's own activation is."""
    raw = [alone(QUERY, document) for document in DOCUMENTS]
    order = sorted(range(len(raw)), key=lambda place: -raw[place])
    results = ranked(client, raw_scores=True)
    assert [rank["index"] for rank in results] == order
    assert [rank["score"] for rank in results] == [raw[place] for place in order]
    for results in (ranked(client), ranked(client, raw_scores=False)):
        assert [rank["index"] for rank in results] == order
        assert [rank["score"] for rank in results] == pytest.approx([1 / (1 + np.exp(-raw[place])) for place in order], abs=1e-6)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_the_clients_of_cohere_jina_and_voyage_get_the_same_scores_and_the_reranker_s_name(client: Client, path: str) -> None:
    """The tokens are those of all pairs, which hold the query once for each document."""
    reply = client.post({"query": QUERY, "documents": DOCUMENTS, "top_n": 2, "return_documents": True}, path)
    expected = ranked(client)[:2]
    assert [(result["index"], result["relevance_score"]) for result in reply.json["results"]] == [
        (rank["index"], rank["score"]) for rank in expected
    ]
    assert reply.json["results"][0]["document"] == {"text": DOCUMENTS[expected[0]["index"]]}
    assert reply.json["model"] == MODEL
    assert reply.json["usage"]["total_tokens"] == int(reply.headers["x-compute-tokens"])


@settings(max_examples=100, deadline=None)
@given(batch=st.lists(st.sampled_from([*DOCUMENTS, ".", "한국 🦜", "words and more of them"]), min_size=1, max_size=12))
def test_a_document_has_the_same_score_in_any_batch(client: Client, alone: Callable[[str, str], float], batch: list[str]) -> None:
    """Documents of the same length share a run. A repeated document is scored once, and keeps its places."""
    found = {rank["index"]: rank["score"] for rank in ranked(client, documents=batch, raw_scores=True)}
    assert [found[place] for place in range(len(batch))] == [alone(QUERY, document) for document in batch]


def test_documents_with_equal_scores_keep_their_order(client: Client) -> None:
    """The same text has the same score."""
    order = [rank["index"] for rank in ranked(client)]
    assert order.index(0) + 1 == order.index(3)


def test_the_description_names_the_reranker_once_it_is_loaded(folder: Path) -> None:
    """It is loaded by the first request that reranks, not by embedding and not by this description."""
    client = client_with(folder)
    client.post({"inputs": "a"})
    before = client.get("/info").json
    ranked(client)
    after = client.get("/info").json
    assert (before["rerank"], before["reranker"]) == ("cross-encoder", None)
    assert after["reranker"] == {
        "model_id": MODEL,
        "model_sha": "1",
        "model_dtype": "int8",
        "max_input_length": LIMIT,
        "activation": "identity",
    }
    assert after["model_id"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_headers_say_what_the_pairs_took_and_which_model_scored_them(client: Client, folder: Path) -> None:
    """Scores are not cached: nothing is looked up."""
    reply = client.post({"query": QUERY, "texts": DOCUMENTS}, "/rerank")
    headers = reply.headers
    assert headers["x-model-sha"] == Manifest.read(folder).digest
    assert headers["x-hf-warning"] == f"truncation; 1 of {len(DOCUMENTS)} inputs were cut to {LIMIT} tokens"
    assert (headers["x-compute-type"], headers["x-cache-hits"], headers["x-cache-misses"]) == ("cpu", "0", "0")


@pytest.mark.parametrize("options", [{"truncate": False}, {"truncate": "NONE"}, {"truncation": False}])
def test_a_pair_that_is_too_long_is_refused_if_it_must_not_be_truncated(client: Client, options: dict[str, Any]) -> None:
    """The number of tokens is that of query, document and the special tokens around both."""
    reply = client.post({"query": QUERY, "texts": DOCUMENTS, **options}, "/rerank")
    sentence = "Input validation error: `texts[1]` with the query must have less than 24 tokens. Given: 68"
    assert reply.error == (422, "Validation", sentence)


WITHOUT_BLANKS = "a" * 300_000
EVERY_FIELD = pytest.mark.parametrize(
    ("path", "field"), [("/rerank", "texts"), ("/rerank", "documents"), ("/v1/rerank", "documents"), ("/v2/rerank", "documents")]
)


def refusal(client: Client, path: str, **fields: object) -> str:
    """Return the sentence that refuses a request, in the form of its path."""
    reply = client.post(fields, path)
    assert reply.status == 422
    return str(reply.json.get("message") or reply.json["error"])


@EVERY_FIELD
def test_a_document_that_is_too_long_is_named_by_the_client_s_field_and_index(client: Client, path: str, field: str) -> None:
    """The index counts repeated documents before it."""
    sentence = refusal(client, path, query=QUERY, truncate=False, **{field: ["b c", "b c", "is it", "long " * 12]})
    assert f"`{field}[3]` with the query must have less than {LIMIT} tokens. Given: " in sentence
    sentence = refusal(client, path, query=QUERY, **{field: ["b c", "b c", "is it", WITHOUT_BLANKS]})
    assert f"`{field}[3]` cannot be truncated to {LIMIT} tokens: " in sentence


@EVERY_FIELD
def test_a_query_that_is_too_long_by_itself_is_named_without_a_document(client: Client, path: str, field: str) -> None:
    """A shorter document would not help."""
    sentence = refusal(client, path, query="long " * 12, truncate=False, **{field: ["b c", "is it"]})
    assert f"`query` must have less than {LIMIT} tokens. Given: " in sentence
    assert f"`query` cannot be truncated to {LIMIT} tokens: " in refusal(client, path, query=WITHOUT_BLANKS, **{field: ["b c"]})


def test_a_long_pair_is_truncated_at_the_end_that_the_request_names(client: Client) -> None:
    """Both texts lose tokens there."""
    documents = ["long " * 12 + "and ends", "long " * 12 + "another way"]
    left, right = ({rank["index"]: rank["score"] for rank in ranked(client, documents=documents, truncation_direction=side)}
                   for side in ("left", "right"))  # fmt: skip
    assert right[0] == right[1]
    assert left[0] != left[1]


def test_the_prompt_must_be_one_of_the_reranker_s(client: Client) -> None:
    """The embedding model's prompts are not used."""
    reply = client.post({"query": QUERY, "texts": ["b"], "prompt_name": "query"}, "/rerank")
    sentence = "`prompt_name` is not one of this model's prompts: none. Given: 'query'"
    assert reply.error == (422, "Validation", sentence)


def test_scoring_stops_at_the_deadline(folder: Path) -> None:
    """The sentence says how many documents were scored; the error has their scores."""
    manifest = Manifest.read(folder)
    pairs = PairTokenization(Tokenization(folder, manifest.max_length)).tokenize(QUERY, DOCUMENTS, "right")
    encoder = CrossEncoder(folder, manifest, 1)
    with pytest.raises(OutOfTime, match=r"^the time ran out: 0 of 5 inputs were scored in 0\.0 s, send fewer at a time$") as caught:
        encoder.score([pair.tokens for pair in pairs], deadline=time.monotonic() - 1)
    assert caught.value.done == {}


def test_a_caller_without_time_left_gets_413(folder: Path) -> None:
    """Lambda's context says how much time is left."""
    request = event("alb", path="/rerank", body=json.dumps({"query": QUERY, "texts": DOCUMENTS}))
    context = SimpleNamespace(aws_request_id="8476a536", get_remaining_time_in_millis=lambda: 0)
    reply: Any = make_handler(load_service({"MODEL_DIR": str(INT8), "RERANKER_DIR": str(folder)}), None)(request, context)
    assert (reply["statusCode"], "the time ran out" in reply["body"]) == (413, True)


def test_a_deployment_without_a_reranker_scores_by_similarity() -> None:
    """An empty name is none."""
    client = client_with("")
    assert client.get("/info").json["rerank"] == "similarity"
    assert "reranker" not in client.get("/info").json


def reasons(capsys: pytest.CaptureFixture[str], event: str) -> list[str]:
    """Return the reasons that the log has of this event."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [line["reason"] for line in lines if line["event"] == event]


@pytest.mark.parametrize(
    ("reranker", "reason"),
    [
        ("/nowhere", "The model file manifest.json is missing in /nowhere: build it with `make model`"),
        (
            str(INT8),
            f"manifest.json in {INT8} describes a model of vectors, and a reranker gives scores: name a cross-encoder's folder",
        ),
    ],
)
def test_a_reranker_that_cannot_be_loaded_fails_rerank_alone(
    reranker: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Callers get an id; the log has the reason under it. Vectors and health do not depend on the reranker."""
    client = client_with(reranker)
    reply = client.post({"query": QUERY, "texts": ["b"]}, "/rerank")
    assert (reply.status, reply.json["error_type"]) == (424, "Backend")
    assert reply.json["error"].startswith(DAMAGED)
    assert reasons(capsys, "reranker_not_loaded") == [reason]
    assert (client.post({"inputs": "a"}).status, client.get("/health").status, client.get("/info").status) == (200, 200, 200)
    again = client.post({"query": QUERY, "texts": ["b"]}, "/rerank")
    assert again.json["error"] == reply.json["error"]  # nothing is tried again so soon


def test_a_cross_encoder_cannot_be_the_model_that_embeds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log says which setting takes it."""
    client = Client(make_handler(load_service({"MODEL_DIR": str(folder)}), None))
    assert client.post({"inputs": "a"}).status == 424
    sentence = "MODEL_DIR or MODEL_URI names a cross-encoder, which gives no vectors: name it by RERANKER_DIR or RERANKER_URI"
    assert reasons(capsys, "model_not_loaded") == [sentence]


def test_a_reranker_in_s3_is_fetched_by_the_first_rerank_and_pinned_by_its_digest(
    folder: Path, s3: LocalS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is fetched before. Another digest is refused, and the log says which one is there."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    uri, digest = s3.upload(folder, "reranker"), Manifest.read(folder).digest
    place = {"RERANKER_URI": uri, "MODEL_TMP": str(tmp_path / "tmp")}
    client = client_with("", **place, RERANKER_SHA256=digest)
    client.post({"inputs": "a"})
    assert not (tmp_path / "tmp").exists()
    assert ranked(client) == ranked(client_with(folder))
    assert {path.name for path in (tmp_path / "tmp").rglob("model.*")} == {"model.onnx", "model.onnx.data"}
    capsys.readouterr()
    other = client_with("", **place, RERANKER_SHA256="0" * 64)
    assert other.post({"query": QUERY, "texts": ["b"]}, "/rerank").status == 424
    (reason,) = reasons(capsys, "reranker_not_loaded")
    assert reason.startswith(
        f"manifest.json has the sha256 {digest}, but RERANKER_SHA256 (in a deployed stack, the parameter RerankerSha256)"
    )
