"""POST /search finds the passages of an index that are closest to a query."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import jsonschema
import numpy as np
import pytest

from events import http_api
from handler.functions.api import make_handler
from handler.http import openapi
from handler.http.routes import ROUTES
from handler.service import Options, Service
from handler.vector_index import model_of
from tests.conftest import FP32, INT8, Client, ClientOf, serve
from tests.handler.functions.fake_lambda import Context
from tests.search.conftest import FolderOf, MakeIndex
from tests.search.indexes import LocalIndex
from tests.search.vectors_front import VectorsFront

QUERY = "How is the weather today?"
PASSAGES = {
    "cat": "The cat sleeps on the warm stove.",
    "rain": "It rained all morning, so the picnic moved indoors.",
    "sun": "Today is a sunny day and I will get some ice cream.",
    "tax": "Taxes on income are paid in the year after.",
}
SOURCES = {"cat": "home", "rain": "weather", "sun": "weather", "tax": "law"}


@pytest.fixture
def index(make_index: MakeIndex, service: Service) -> LocalIndex:
    """Provide an index with the passages."""
    index = make_index()
    fill(index, service)
    return index


def fill(index: LocalIndex, service: Service, **options: Any) -> None:  # noqa: ANN401 - options of an embedding
    """Put the passages into an index."""
    vectors = service.embed(list(PASSAGES.values()), Options(**options)).vectors
    index.put(
        *(
            (name, vector, {"text": PASSAGES[name], "source": SOURCES[name], "start": 0})
            for name, vector in zip(PASSAGES, vectors, strict=True)
        )
    )


@pytest.fixture
def searching(index: LocalIndex, service: Service, client_of: ClientOf) -> Client:
    """Provide a client of a deployment that searches the index."""
    del service
    return client_of(INT8, SEARCH_INDEX_ARN=index.arn)


def similarities(client: Client, query: str = QUERY) -> dict[str, float]:
    """Return the similarity of each passage to a query."""
    fields = {"inputs": {"source_sentence": query, "sentences": list(PASSAGES.values())}}
    return dict(zip(PASSAGES, client.post(fields).json, strict=True))


def asked(front: VectorsFront) -> list[Any]:
    """Return the queries that the index received."""
    return [fields for operation, fields in front.asked if operation == "QueryVectors"]


def test_the_closest_passages_come_first_with_their_similarity_and_metadata(searching: Client) -> None:
    """The score is one minus the distance, which is the cosine that /similarity responds with."""
    reply = searching.post({"query": QUERY, "k": 3}, "/search")
    assert reply.status == 200, reply.body
    scores = similarities(searching)
    expected = sorted(PASSAGES, key=lambda name: -scores[name])[:3]
    assert [(one["id"], one["score"]) for one in reply.json] == [(name, pytest.approx(scores[name], abs=1e-6)) for name in expected]
    assert {one["id"] for one in reply.json[:2]} == {"rain", "sun"}
    assert [one["metadata"] for one in reply.json] == [
        {"text": PASSAGES[name], "source": SOURCES[name], "start": 0} for name in expected
    ]
    assert int(reply.headers["x-compute-tokens"]) == 8
    assert searching.get("/info").json["search"] is True


def test_a_query_comes_from_the_cache_the_second_time(searching: Client) -> None:
    """Unless the request excludes the cache."""
    bodies = [json.dumps({"query": "Where did the picnic go?", **more}).encode() for more in ({}, {}, {"use_cache": False})]
    kinds = [searching.request("POST", "/search", body).headers["x-compute-type"] for body in bodies]
    assert kinds == ["cpu", "cache", "cpu"]
    assert searching.request("POST", "/search", bodies[0], x_use_cache="false").headers["x-compute-type"] == "cpu"


def test_a_vector_in_the_place_of_a_text_finds_the_same_passages(searching: Client) -> None:
    """Its length does not matter, because cosines are compared. Nothing is embedded."""
    by_text = searching.post({"query": QUERY}, "/search").json
    vector = (np.array(searching.post({"inputs": QUERY}).json[0]) * 7).tolist()
    reply = searching.post({"vector": vector}, "/search")
    assert "x-compute-tokens" not in reply.headers
    assert [one["id"] for one in reply.json] == [one["id"] for one in by_text]
    assert [one["score"] for one in reply.json] == pytest.approx([one["score"] for one in by_text], abs=1e-6)


def test_ids_and_scores_alone_need_no_right_to_metadata(front: VectorsFront, searching: Client) -> None:
    """S3 Vectors requires GetVectors for metadata and for filters only."""
    front.denied = {"GetVectors"}
    reply = searching.post({"query": QUERY, "k": 1, "return_metadata": False}, "/search")
    (one,) = reply.json
    assert one.keys() == {"id", "score"}
    for needing in ({}, {"filter": {"source": "law"}, "return_metadata": False}):
        status, kind, sentence = searching.post({"query": QUERY, **needing}, "/search").error
        assert (status, kind) == (424, "Backend")
        assert sentence == (
            "The index passages refuses the query (AccessDeniedException): the function needs s3vectors:QueryVectors, "
            "and for a filter or metadata s3vectors:GetVectors"
        )


def test_a_filter_leaves_out_passages_whose_metadata_does_not_match(searching: Client) -> None:
    """The grammar is S3 Vectors' own. An empty filter is none."""
    found = searching.post({"query": QUERY, "filter": {"source": {"$in": ["law", "home"]}}}, "/search").json
    assert {one["id"] for one in found} == {"cat", "tax"}
    assert searching.post({"query": QUERY, "filter": {"source": "sport"}}, "/search").json == []
    assert len(searching.post({"query": QUERY, "filter": {}}, "/search").json) == len(PASSAGES)


@pytest.mark.parametrize("conditions", [{"text": PASSAGES["cat"]}, {"source": {"$like": "w%"}}, {"start": {"$gt": "0"}}])
def test_a_filter_that_s3_vectors_refuses_is_the_client_s_fault(searching: Client, conditions: dict[str, Any]) -> None:
    """The text of a passage is not filterable."""
    status, kind, sentence = searching.post({"query": QUERY, "filter": conditions}, "/search").error
    assert (status, kind) == (422, "Validation")
    assert sentence.startswith("`filter` is refused by S3 Vectors: it takes the operators $eq, $ne, ")


def test_results_in_several_pages_are_collected(front: VectorsFront, searching: Client) -> None:
    """Every page is asked for with the same query."""
    front.page = 1
    assert len(searching.post({"query": QUERY, "k": 3}, "/search").json) == 3
    first, *rest = asked(front)
    assert [one.pop("nextToken") for one in rest] == [f"page-{len(front.asked) - place}" for place in (2, 1)]
    assert "nextToken" not in first
    assert rest == [first, first]
    assert (first["topK"], first["returnDistance"], first["returnMetadata"]) == (3, True, True)


def test_a_query_has_the_model_s_prompt_for_queries(make_index: MakeIndex, client_of: ClientOf, folder_of: FolderOf) -> None:
    """A `prompt_name` of the request wins."""
    folder = folder_of(prompts={"query": "query: ", "passage": "passage: "})
    index = make_index()
    fill(index, serve(folder), prompt_name="passage")
    client = client_of(folder, SEARCH_INDEX_ARN=index.arn)
    rows = {name: np.array(client.post({"inputs": QUERY, "prompt_name": name}).json[0]) for name in ("query", "passage")}
    sun = np.array(client.post({"inputs": PASSAGES["sun"], "prompt_name": "passage"}).json[0])
    for options, name in (({}, "query"), ({"prompt_name": "passage"}, "passage")):
        found = {one["id"]: one["score"] for one in client.post({"query": QUERY, **options}, "/search").json}
        assert found["sun"] == pytest.approx(rows[name] @ sun, abs=1e-6)


def test_rerank_orders_the_best_passages_of_the_index_by_the_reranker(front: VectorsFront, searching: Client) -> None:
    """Scores and order are those of /rerank for the same passages."""
    reply = searching.post({"query": QUERY, "k": 2, "rerank": 3}, "/search")
    (query,) = asked(front)
    assert query["topK"] == 3
    candidates = searching.post({"query": QUERY, "k": 3}, "/search").json
    texts = [one["metadata"]["text"] for one in candidates]
    ranks = searching.post({"query": QUERY, "texts": texts, "top_n": 2}, "/rerank").json
    assert [one["id"] for one in reply.json] == [candidates[rank["index"]]["id"] for rank in ranks]
    assert [one["score"] for one in reply.json] == [rank["score"] for rank in ranks]
    assert reply.json[0]["metadata"]["text"] in texts
    bare = searching.post({"query": QUERY, "k": 2, "rerank": 3, "return_metadata": False}, "/search").json
    assert [one.keys() for one in bare] == [{"id", "score"}] * 2


def test_passages_without_text_cannot_be_reranked(searching: Client, index: LocalIndex) -> None:
    """They were written without it."""
    index.put(("bare", [1.0] * 384, {"source": "law"}))
    status, kind, sentence = searching.post({"query": QUERY, "rerank": 50}, "/search").error
    assert (status, kind) == (422, "Validation")
    assert sentence == "`rerank` needs the text of each passage in its metadata as `text`; 1 of 5 passages have none"
    assert searching.post({"query": QUERY, "rerank": 50, "filter": {"source": "sport"}}, "/search").json == []


def test_a_passage_that_is_too_long_to_be_reranked_is_named_by_its_place_among_the_passages_found(
    searching: Client, index: LocalIndex
) -> None:
    """The place is that of the same search without `rerank`. Its text is the index's, and no field of the request."""
    index.put(("long", [1.0] * 384, {"text": "word " * 300}))
    found = [one["id"] for one in searching.post({"query": QUERY, "k": 5}, "/search").json]
    sentence = f"Input validation error: `passages[{found.index('long')}]` must have less than 256 tokens. Given: 302"
    assert searching.post({"query": QUERY, "rerank": 10, "truncate": False}, "/search").error == (422, "Validation", sentence)


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({}, 422, "A search needs either `query`, a text, or `vector`. Given: neither"),
        ({"query": "a", "vector": [1]}, 422, "A search needs either `query`, a text, or `vector`. Given: query and vector"),
        ({"query": ["a"]}, 422, "`query` must be a string. Given: a list"),
        ({"query": ""}, 400, "`query` cannot be empty"),
        ({"query": "a", "k": 0}, 422, "`k` must be between 1 and 100. Given: 0"),
        ({"query": "a", "k": 101}, 422, "`k` must be between 1 and 100. Given: 101"),
        ({"query": "a", "k": "5"}, 422, "`k` must be a whole number. Given: a string of 1 character"),
        ({"query": "a", "rerank": 101}, 422, "`rerank` must be between 1 and 100. Given: 101"),
        (
            {"query": "a", "k": 20, "rerank": 10},
            422,
            "`rerank` must be at least `k`, because the results are chosen among so many passages. Given: 10 < 20",
        ),
        (
            {"vector": [1.0] * 384, "rerank": 50},
            422,
            "`rerank` needs `query`: a reranker reads the text of the query, and `vector` has none",
        ),
        ({"query": "a", "filter": "law"}, 422, '`filter` must be an object such as {"source": "handbook"}. Given: a string'),
        ({"query": "a", "return_metadata": 1}, 422, "`return_metadata` must be true or false. Given: 1"),
        ({"vector": "AAAA"}, 422, "`vector` must be a list of 384 numbers. Given: a string"),
        ({"vector": [True] * 384}, 422, "`vector` must be a list of 384 numbers. Given: a list"),
        ({"vector": [1.0] * 383}, 422, "`vector` must have 384 numbers. Given: 383"),
        ({"vector": [0.0] * 384}, 422, "`vector` must have numbers that float32 can hold, and not only zeros"),
        ({"vector": [1e39] * 384}, 422, "`vector` must have numbers that float32 can hold, and not only zeros"),
        (
            {"query": "word " * 300, "truncate": False},
            422,
            "Input validation error: `query` must have less than 256 tokens. Given: 302",
        ),
    ],
)
def test_wrong_fields_are_refused_by_name(searching: Client, fields: object, status: int, sentence: str) -> None:
    """The index is not asked."""
    found = searching.post(fields, "/search").error
    assert (found[0], found[2]) == (status, sentence)


def test_the_examples_of_the_document_work(searching: Client) -> None:
    """Requests and responses have the schemas of the document."""
    route = next(route for route in ROUTES if "/search" in route.paths)
    schemas = {"components": {"schemas": openapi.SCHEMAS}}
    for example in openapi.SCHEMAS[route.request]["examples"]:
        jsonschema.validate(example, {**schemas, "$ref": f"#/components/schemas/{route.request}"})
        reply = searching.post(example, "/search")
        assert reply.status == 200, reply.body
        jsonschema.validate(reply.json, {**schemas, "$ref": f"#/components/schemas/{route.response}"})
        assert reply.json


def test_a_deployment_without_an_index_says_how_to_get_one(client: Client) -> None:
    """The path exists for nobody there, so the status is 404; 424 would set off the alarm for failing requests."""
    sentence = "This deployment has no index to search: deploy it with the parameter Search=true, or with SearchIndexArn"
    assert client.post({"query": QUERY}, "/search").error == (404, "Validation", sentence)
    assert client.get("/info").json["search"] is False


def test_an_index_of_another_dimension_or_distance_is_refused_by_name(make_index: MakeIndex, client_of: ClientOf) -> None:
    """Its answers would be errors of S3 Vectors, or scores that mean something else."""
    for arguments, reason in (
        ((768, "cosine"), "takes vectors of 768 numbers, and those of the model sentence-transformers/all-MiniLM-L6-v2 have 384: "),
        ((384, "euclidean"), "compares by euclidean, and a search needs cosine: "),
    ):
        client = client_of(INT8, SEARCH_INDEX_ARN=make_index(*arguments).arn)
        status, kind, sentence = client.post({"query": QUERY}, "/search").error
        assert (status, kind) == (424, "Backend")
        assert sentence.startswith(f"The index passages {reason}")
        assert client.post({"inputs": QUERY}).status == 200


def test_an_index_with_the_vectors_of_another_model_is_refused_with_both_names(searching: Client, index: LocalIndex) -> None:
    """Once it is corrected, the next search succeeds."""
    index.tag("BAAI/bge-small-en-v1.5 0123456789abcdef")
    status, _, sentence = searching.post({"query": QUERY}, "/search").error
    assert status == 424
    ours = model_of(serve(INT8).manifest)
    assert ours.startswith("sentence-transformers/all-MiniLM-L6-v2 ")
    assert sentence.startswith(
        f"The index passages holds vectors of the model BAAI/bge-small-en-v1.5 0123456789abcdef, and this deployment has {ours}: "
    )
    index.tag(ours)
    assert searching.post({"query": QUERY}, "/search").status == 200


def test_another_precision_of_the_same_model_finds_its_vectors(index: LocalIndex, client_of: ClientOf) -> None:
    """Vectors of int8 and fp32 weights are close to each other."""
    index.tag(model_of(serve(INT8).manifest))
    found = client_of(FP32, SEARCH_INDEX_ARN=index.arn).post({"query": QUERY, "k": 2}, "/search").json
    assert {one["id"] for one in found} == {"rain", "sun"}


@pytest.mark.parametrize("similarity", ["dot", "euclidean"])
def test_a_model_that_is_not_compared_by_cosine_is_refused_at_start_and_at_each_search(
    index: LocalIndex,
    client_of: ClientOf,
    folder_of: FolderOf,
    capfd: pytest.CaptureFixture[str],
    similarity: str,
) -> None:
    """S3 Vectors has no dot product. Other requests are served."""
    client = client_of(folder_of(similarity=similarity), SEARCH_INDEX_ARN=index.arn)
    (line,) = (line for line in map(json.loads, capfd.readouterr().err.splitlines()) if line["event"] == "search_refused")
    status, kind, sentence = client.post({"query": QUERY}, "/search").error
    assert (status, kind) == (424, "Backend")
    assert sentence == line["reason"]
    assert f"is compared by {similarity}, and a search needs one that is compared by cosine" in sentence
    assert client.post({"inputs": QUERY}).status == 200


def test_an_index_that_may_not_be_described_is_searched_and_asked_about_once(front: VectorsFront, searching: Client) -> None:
    """Nothing is known then, so nothing is refused."""
    front.denied = {"GetIndex", "ListTagsForResource"}
    front.asked.clear()
    for _ in range(2):
        assert searching.post({"query": QUERY}, "/search").status == 200
    assert [operation for operation, _ in front.asked].count("GetIndex") == 1


def test_an_index_that_may_not_be_described_is_refused_for_what_its_answer_says(
    front: VectorsFront, make_index: MakeIndex, service: Service, client_of: ClientOf
) -> None:
    """S3 Vectors itself refuses a vector of another dimension, and names the distance in its response."""
    front.denied = {"ListTagsForResource"}
    euclidean, wide = make_index(384, "euclidean"), make_index(768)
    fill(euclidean, service)
    front.denied |= {"GetIndex"}
    for index, reason in (
        (euclidean, "compares by euclidean, and a search needs cosine: name an index that compares by cosine"),
        (wide, "refuses the query (ValidationException)"),
    ):
        status, _, sentence = client_of(INT8, SEARCH_INDEX_ARN=index.arn).post({"query": QUERY}, "/search").error
        assert (status, sentence) == (424, f"The index passages {reason}")


def test_an_index_that_does_not_exist_is_named(index: LocalIndex, client_of: ClientOf) -> None:
    """The name of a bucket and an index, but no text, is in the sentence."""
    client = client_of(INT8, SEARCH_INDEX_ARN=f"{index.arn}-gone")
    status, kind, sentence = client.post({"query": QUERY}, "/search").error
    assert (status, kind) == (424, "Backend")
    assert sentence == "The index passages-gone does not exist (NotFoundException): set SearchIndexArn to the ARN of an index"


SLOW: dict[str, tuple[dict[str, float], str]] = {
    "no byte": ({"delay_seconds": 20}, "ReadTimeoutError"),
    "a byte now and then": ({"byte_seconds": 0.1}, "TimeoutError"),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_search_ends_before_its_deadline_if_the_index_does_not_answer(front: VectorsFront, index: LocalIndex, name: str) -> None:
    """The function has three seconds left, and the index would take twenty. No timeout of a client ends the second answer."""
    handler = make_handler(serve(INT8, SEARCH_INDEX_ARN=index.arn), None)
    request = http_api.Request("POST", "/search", "", [], json.dumps({"query": QUERY, "k": 1}).encode(), "127.0.0.1", 443)
    slowness, error = SLOW[name]
    for attribute, value in slowness.items():
        setattr(front, attribute, value)
    started = time.monotonic()
    event = http_api.make_event(request, received=datetime.now(UTC), request_id=uuid4())
    reply = handler(event, Context(3))
    assert time.monotonic() - started < 3
    assert reply["statusCode"] == 424
    assert json.loads(reply["body"])["error"] == f"The index passages did not answer ({error}): send the request again"


def test_a_search_without_time_for_a_call_is_refused(index: LocalIndex) -> None:
    """The margin for the response is not touched."""
    handler = make_handler(serve(INT8, SEARCH_INDEX_ARN=index.arn), None)
    request = http_api.Request("POST", "/search", "", [], json.dumps({"query": QUERY}).encode(), "127.0.0.1", 443)
    event = http_api.make_event(request, received=datetime.now(UTC), request_id=uuid4())
    reply = handler(event, Context(1.5))
    assert json.loads(reply["body"])["error"] == (
        "The time is over before the index passages could be asked: send the request again"
    )


def test_results_that_no_front_door_carries_are_refused_with_what_to_ask_for(
    make_index: MakeIndex, client_of: ClientOf, service: Service
) -> None:
    """Metadata can have 40 KB for each result, and quotes take four bytes in Lambda's envelope."""
    index = make_index()
    vectors = service.embed([f"text {number}" for number in range(100)], Options()).vectors
    index.put(*((str(place), vector, {"text": '"' * 19_000}) for place, vector in enumerate(vectors)))
    client = client_of(INT8, SEARCH_INDEX_ARN=index.arn)
    status, kind, sentence = client.post({"query": QUERY, "k": 100}, "/search").error
    assert (status, kind) == (413, "Validation")
    assert sentence.endswith("fits through an HTTP API: ask for fewer with `k`, or set `return_metadata` to false")
    assert len(client.post({"query": QUERY, "k": 60}, "/search").json) == 60
    assert len(client.post({"query": QUERY, "k": 100, "return_metadata": False}, "/search").json) == 100


def test_a_setting_that_names_no_index_is_refused_at_start(capfd: pytest.CaptureFixture[str]) -> None:
    """As with every other setting, the log has the reason."""
    serve(INT8, SEARCH_INDEX_ARN="s3vectors://bucket/passages")
    (line,) = (line for line in map(json.loads, capfd.readouterr().err.splitlines()) if line["event"] == "model_not_loaded")
    assert line["reason"] == "SEARCH_INDEX_ARN must be the ARN of an index of S3 Vectors; it is 's3vectors://bucket/passages'"
