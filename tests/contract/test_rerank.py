"""Reranking in the shapes of text-embeddings-inference, and of Cohere, Jina and Voyage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.doors import FRONT_DOORS, LAMBDA_BYTES
from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import INT8, Client, ClientOf
from tests.contract.example_requests import event

QUERY = "How is the weather?"
DOCUMENTS = ["A cat sleeps.", "The weather is sunny today.", "It rained all morning.", "A cat sleeps."]
OBJECT_PATHS = ("/v1/rerank", "/v2/rerank", "/rerank")


def similarities(client: Client, query: str = QUERY, documents: list[str] = DOCUMENTS) -> list[float]:
    """Return what /similarity returns for the same texts."""
    body = {"inputs": {"source_sentence": query, "sentences": documents}}
    found: list[float] = client.post(body, "/similarity").json
    return found


def best_first(scores: list[float]) -> list[int]:
    """Return the places of the scores, the highest first; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda place: -scores[place])


@pytest.fixture
def model_of(tmp_path: Path) -> Any:  # noqa: ANN401 - a function
    """Make a folder with the default model and some changes of its manifest."""

    def make(**changes: object) -> Path:
        manifest = json.loads((INT8 / "manifest.json").read_text())
        for name in manifest["files"]:
            (tmp_path / name).symlink_to(INT8 / name)
        (tmp_path / "manifest.json").write_text(json.dumps(manifest | changes))
        return tmp_path

    return make


def test_text_embeddings_inference_s_clients_get_a_list_the_best_first(client: Client) -> None:
    """The scores are the model's own similarities; `raw_scores` changes none of them."""
    scores = similarities(client)
    for options in ({}, {"raw_scores": True}, {"raw_scores": False, "return_text": False}):
        reply = client.post({"query": QUERY, "texts": DOCUMENTS, **options}, "/rerank")
        assert reply.status == 200
        assert reply.json == [{"index": index, "score": pytest.approx(scores[index], abs=1e-6)} for index in best_first(scores)]
    assert [rank["index"] for rank in reply.json] == [1, 2, 0, 3]


def test_text_embeddings_inference_s_clients_get_the_texts_if_they_ask_for_them(client: Client) -> None:
    """Each text is next to its index."""
    ranks = client.post({"query": QUERY, "texts": DOCUMENTS, "return_text": True}, "/rerank").json
    assert [rank["text"] for rank in ranks] == [DOCUMENTS[rank["index"]] for rank in ranks]


@pytest.mark.parametrize("path", OBJECT_PATHS)
def test_the_clients_of_cohere_jina_and_voyage_get_one_object_that_all_of_them_read(client: Client, path: str) -> None:
    """A request does not say which of them sent it. On /rerank, `documents` in the place of `texts` asks for this object."""
    scores = similarities(client)
    reply = client.post({"query": QUERY, "documents": DOCUMENTS, "model": "rerank-2.5"}, path)
    content = reply.json
    assert content["results"] == content["data"]
    assert content["results"] == [
        {"index": index, "relevance_score": pytest.approx(scores[index], abs=1e-6)} for index in best_first(scores)
    ]
    assert (content["object"], content["model"]) == ("list", "sentence-transformers/all-MiniLM-L6-v2")
    assert content["usage"]["total_tokens"] == int(reply.headers["x-compute-tokens"]) == 7 + 6 + 8 + 7 + 6
    assert content["meta"] == {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    assert content["id"]


@pytest.mark.parametrize("limit", ["top_n", "top_k"])
@pytest.mark.parametrize(("count", "returned"), [(1, 1), (2, 2), (4, 4), (100, 4), (None, 4)])
def test_at_most_the_best_n_are_returned(client: Client, limit: str, count: int | None, returned: int) -> None:
    """Cohere and Jina call the number `top_n`, Voyage `top_k`."""
    ranks = client.post({"query": QUERY, "documents": DOCUMENTS, limit: count}, "/v1/rerank").json["results"]
    assert [rank["index"] for rank in ranks] == [1, 2, 0, 3][:returned]
    assert len(client.post({"query": QUERY, "texts": DOCUMENTS, limit: count}, "/rerank").json) == returned


def test_documents_are_strings_or_objects_and_come_back_as_objects(client: Client) -> None:
    """Other fields of such an object are ignored."""
    mixed = [DOCUMENTS[0], {"text": DOCUMENTS[1], "title": "Weather"}]
    ranks = client.post({"query": QUERY, "documents": mixed, "return_documents": True}, "/v1/rerank").json["results"]
    assert [(rank["index"], rank["document"]) for rank in ranks] == [(1, {"text": DOCUMENTS[1]}), (0, {"text": DOCUMENTS[0]})]


@settings(max_examples=50, deadline=None)
@given(documents=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=6), top_n=st.integers(1, 8))
def test_ranks_are_the_sorted_similarities_of_any_documents(client: Client, documents: list[str], top_n: int) -> None:
    """Every index comes once, and the scores never rise."""
    ranks = client.post({"query": QUERY, "documents": documents, "top_n": top_n}, "/v2/rerank").json["results"]
    scores = similarities(client, QUERY, documents)
    assert [rank["index"] for rank in ranks] == best_first(scores)[:top_n]
    assert [rank["relevance_score"] for rank in ranks] == pytest.approx(sorted(scores, reverse=True)[:top_n], abs=1e-6)


@pytest.mark.parametrize("similarity", ["dot", "euclidean", "manhattan"])
def test_scores_are_the_model_s_own_similarity_function(client_of: ClientOf, model_of: Any, similarity: str) -> None:  # noqa: ANN401
    """A distance is negative, so that the best is still the highest."""
    client = client_of(model_of(similarity=similarity))
    scores = similarities(client)
    ranks = client.post({"query": QUERY, "texts": DOCUMENTS}, "/rerank").json
    assert [rank["index"] for rank in ranks] == best_first(scores)
    assert [rank["score"] for rank in ranks] == pytest.approx(sorted(scores, reverse=True), rel=1e-5)
    assert (similarity == "dot") == (ranks[0]["score"] > 0)


PROMPTS = {"query": "query: ", "passage": "passage: "}


@pytest.mark.parametrize("names", [["query", "passage"], ["query"], ["passage"]])
def test_query_and_documents_get_the_model_s_prompts_for_them(client_of: ClientOf, model_of: Any, names: list[str]) -> None:  # noqa: ANN401
    """A model may have one for queries alone."""
    client = client_of(model_of(prompts={name: PROMPTS[name] for name in names}))

    def rows(texts: list[str], name: str) -> np.ndarray:
        return np.array(client.post({"inputs": texts, "prompt_name": name if name in names else None}).json, np.float32)

    expected = rows(DOCUMENTS, "passage") @ rows([QUERY], "query")[0]
    reply = client.post({"query": QUERY, "texts": DOCUMENTS}, "/rerank")
    found = {rank["index"]: rank["score"] for rank in reply.json}
    np.testing.assert_allclose([found[index] for index in range(len(DOCUMENTS))], expected, atol=1e-6)
    assert reply.headers["x-compute-type"] == "cache"
    assert (reply.headers["x-cache-hits"], reply.headers["x-cache-misses"]) == ("5", "0")
    tokens = client.post({"inputs": [QUERY], "prompt_name": "query" if "query" in names else None}, "/tokenize").json[0]
    assert int(reply.headers["x-compute-tokens"]) > len(tokens)


def test_query_and_documents_are_taken_from_the_cache_and_put_into_it(client_of: ClientOf) -> None:
    """Embedding a document makes the reranking of it cheaper, and the other way round."""
    client = client_of(INT8)
    client.post({"inputs": DOCUMENTS[:2]})
    reply = client.post({"query": QUERY, "documents": DOCUMENTS[:3]}, "/v1/rerank")
    assert (reply.headers["x-cache-hits"], reply.headers["x-cache-misses"]) == ("2", "2")
    assert client.post({"inputs": QUERY}).headers["x-compute-type"] == "cache"


def test_the_description_of_the_model_says_where_scores_come_from(client: Client) -> None:
    """A cross-encoder's would be something else."""
    assert client.get("/info").json["rerank"] == "similarity"


LONG = "word " * 300


@pytest.mark.parametrize("options", [{"truncate": False}, {"truncation": False}, {"truncate": "NONE"}])
def test_a_document_that_is_too_long_is_refused_if_it_must_not_be_truncated(client: Client, options: dict[str, Any]) -> None:
    """Voyage calls the option `truncation`."""
    reply = client.post({"query": QUERY, "documents": [LONG], **options}, "/v2/rerank")
    sentence = "Input validation error: `documents` must have less than 256 tokens. Given: 302"
    assert (reply.status, reply.json["message"]) == (422, sentence)


@pytest.mark.parametrize(
    ("query", "documents", "name"), [(QUERY, ["same", "same", LONG], "documents[2]"), (LONG, DOCUMENTS, "query")]
)
def test_a_text_that_is_too_long_is_named_by_its_field_if_query_and_documents_have_different_prompts(
    client_of: ClientOf,
    model_of: Any,  # noqa: ANN401
    query: str,
    documents: list[str],
    name: str,
) -> None:
    """They are embedded in two calls."""
    client = client_of(model_of(prompts=PROMPTS))
    reply = client.post({"query": query, "documents": documents, "truncate": False}, "/v1/rerank")
    assert (reply.status, f"`{name}` must have less than 256 tokens" in reply.json["message"]) == (422, True)


def test_a_document_that_is_too_long_is_truncated_and_counted_in_a_header(client: Client) -> None:
    """The query counts as an input."""
    headers = client.post({"query": QUERY, "documents": [LONG, "short"]}, "/v2/rerank").headers
    assert headers["x-hf-warning"] == "truncation; 1 of 3 inputs were cut to 256 tokens"


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({}, 422, "`query` must be a string. It is missing"),
        ({"query": ["a"], "documents": ["b"]}, 422, "`query` must be a string. Given: a list"),
        ({"query": "", "documents": ["b"]}, 400, "`query` cannot be empty"),
        ({"query": "a"}, 422, "`documents` must be a string or a list of strings. It is missing"),
        ({"query": "a", "documents": []}, 400, "`documents` cannot be empty"),
        ({"query": "a", "documents": ["b", {"text": ""}]}, 400, "`documents[1]` cannot be empty"),
        ({"query": "a", "documents": [{"title": "b"}]}, 422, "`documents[0]` must be a string. Given: an object"),
        ({"query": "a", "documents": [{"text": 1}]}, 422, "`documents[0]` must be a string. Given: a number"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, 422, "`top_n` must be at least 1. Given: 0"),
        ({"query": "a", "documents": ["b"], "top_k": "22"}, 422, "`top_k` must be a whole number. Given: a string of 2 characters"),
        ({"query": "a", "documents": ["b"], "return_documents": 1}, 422, "`return_documents` must be true or false. Given: 1"),
        ({"query": "a", "documents": ["b"], "raw_scores": "x1"}, 422, "`raw_scores` must be true or false. Given: 'x1'"),
        ({"query": "a", "documents": ["b"], "truncation": 1}, 422, "`truncation` must be true or false. Given: 1"),
        (
            {"query": "a", "documents": ["b", "\ud800"]},
            422,
            "`documents[1]` is not valid Unicode: it holds the lone surrogate U+D800 at position 0",
        ),
    ],
)
def test_wrong_fields_are_refused_in_the_form_that_the_path_s_clients_read(
    client: Client, fields: object, status: int, sentence: str
) -> None:
    """Cohere's clients read `message`, Voyage's `detail`, OpenAI's and Jina's imitators `error.message`."""
    cohere, shared = client.post(fields, "/v2/rerank"), client.post(fields, "/v1/rerank")
    sentences = (cohere.json["message"], shared.json["message"], shared.json["detail"], shared.json["error"]["message"])
    assert (cohere.status, shared.status) == (status, status)
    assert sentences == (sentence,) * 4


def test_as_many_documents_as_a_batch_may_have_can_be_ranked(client: Client, service: Service) -> None:
    """The query does not count."""
    limit = service.settings.max_client_batch_size
    assert len(client.post({"query": "a", "texts": ["b"] * limit}, "/rerank").json) == limit
    sentence = f"batch size {limit + 1} > maximum allowed batch size {limit}"
    assert client.post({"query": "a", "texts": ["b"] * (limit + 1)}, "/rerank").error == (413, "Validation", sentence)


ALB = next(door for door in FRONT_DOORS if door.response_bytes < LAMBDA_BYTES)
NASTY = '"\\\n漢' * 5_000
"""A text that JSON, and Lambda's envelope once more, make longer."""


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
def test_a_response_that_might_not_fit_is_refused_before_anything_is_embedded(service: Service, path: str) -> None:
    """Documents that come back are counted with the backslashes of the envelope, and twice where they are sent twice."""
    name, copies = ("texts", 1) if path == "/rerank" else ("documents", 2)
    handle = make_handler(service, None)

    def ask(count: int, **options: object) -> Any:  # noqa: ANN401 - Lambda's reply
        fields = {"query": QUERY, name: [NASTY] * count, "return_documents": True, **options}
        return handle(event("alb", path=path, body=json.dumps(fields, ensure_ascii=False)), None)

    each = len(json.dumps(json.dumps(NASTY, ensure_ascii=False), ensure_ascii=False).encode()) * copies
    fits = ALB.response_bytes // each
    fitting, refused = ask(fits), ask(fits + 1)
    assert fitting["statusCode"] == 200
    assert len(json.dumps(fitting, ensure_ascii=False).encode()) <= ALB.response_bytes
    assert refused["statusCode"] == 413
    assert f"send at most {fits} documents at a time" in refused["body"]
    assert ask(fits + 1, top_n=1)["statusCode"] == 200
    assert ask(fits + 1, return_documents=False)["statusCode"] == 200
