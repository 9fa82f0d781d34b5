"""OpenAI's dialect, text-embeddings-inference's own routes, and sentence similarity."""

import base64
import json

import numpy as np
import pytest

from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import Client
from tests.contract.example_requests import event

SUNNY = "Today is a sunny day and I will get some ice cream."
TEXTS = [SUNNY, "It rained all morning.", "A sunny day with ice cream."]
CLS, SEP = 101, 102


def rows(client: Client, texts: list[str]) -> np.ndarray:
    """Return the vectors of texts."""
    return np.array(client.post({"inputs": texts}).json, dtype=np.float32)


def test_openai_s_clients_get_embedding_objects_and_the_usage(client: Client) -> None:
    """The objects are in the order of the texts, and name the served model, whatever the request names."""
    path = "/v1/embeddings"
    reply = client.post({"input": TEXTS, "model": "text-embedding-3-small", "user": "someone"}, path).json
    assert (reply["object"], reply["model"]) == ("list", "sentence-transformers/all-MiniLM-L6-v2")
    assert [(item["object"], item["index"]) for item in reply["data"]] == [("embedding", index) for index in range(3)]
    assert np.array_equal(np.array([item["embedding"] for item in reply["data"]], np.float32), rows(client, TEXTS))
    assert reply["usage"]["prompt_tokens"] == reply["usage"]["total_tokens"] == 15 + 7 + 9


def test_openai_s_base64_is_little_endian_float32(client: Client) -> None:
    """OpenAI's clients ask for base64 by default."""
    reply = client.post({"input": SUNNY, "model": "m", "encoding_format": "base64", "dimensions": 8}, "/v1/embeddings").json
    expected = np.array(client.post({"inputs": SUNNY, "dimensions": 8}).json[0], np.float32)
    assert np.array_equal(np.frombuffer(base64.b64decode(reply["data"][0]["embedding"]), "<f4"), expected)


def test_openai_s_token_ids_are_those_of_the_model_served(client: Client) -> None:
    """A request has one list of ids or several, with special tokens or without."""
    ids = [[token["id"] for token in text] for text in client.post({"inputs": ["hello world", "sunny day"]}, "/tokenize").json]
    expected = rows(client, ["hello world", "sunny day"])
    several = client.post({"input": ids}, "/v1/embeddings").json["data"]
    one = client.post({"input": ids[0][1:-1]}, "/v1/embeddings").json["data"]
    assert np.array_equal(np.array([item["embedding"] for item in several], np.float32), expected)
    assert np.array_equal(np.array(one[0]["embedding"], np.float32), expected[0])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "`input` must be a string or a list of strings. It is missing"),
        ({"input": [1, "a"]}, "`input` must be a string, a list of strings, a list of token ids or a list of such lists"),
        ({"input": [1.5]}, "`input` must be a string, a list of strings, a list of token ids or a list of such lists"),
        ({"input": [10**6]}, "a token id must be below 30522, the size of this model's vocabulary. Given: 1000000"),
        ({"input": [CLS, SEP]}, "`input` cannot be empty"),
        ({"input": ["a", ""]}, "`input[1]` cannot be empty"),
        ({"input": "a", "dimensions": 400}, "`dimensions` must be between 1 and 384. Given: 400"),
    ],
)
def test_openai_s_clients_get_errors_in_openai_s_form(client: Client, fields: object, sentence: str) -> None:
    """The error is an object with message, type and code."""
    reply = client.post(fields, "/v1/embeddings")
    assert reply.status in {400, 422}
    kind = "Empty" if "empty" in sentence else "Validation"
    error = {"message": sentence, "type": kind, "code": reply.status}
    assert reply.json == {"error": error, "error_type": kind, "detail": sentence, "message": sentence}
    assert client.get("/v1/nothing").json["error"]["message"] == "There is nothing at /v1/nothing"


def test_tokens_have_their_positions(client: Client) -> None:
    """Positions are in characters; a token that the tokenizer added has none."""
    tokens = client.post({"inputs": "Zürich, 한국"}, "/tokenize").json[0]
    assert tokens[0] == {"id": CLS, "text": "[CLS]", "special": True, "start": None, "stop": None}
    assert tokens[-1] == {"id": SEP, "text": "[SEP]", "special": True, "start": None, "stop": None}
    assert [(token["text"], token["start"], token["stop"]) for token in tokens[1:3]] == [("Zürich", 0, 6), (",", 6, 7)]
    bare = client.post({"inputs": ["Zürich, 한국"], "add_special_tokens": False}, "/tokenize").json[0]
    assert bare == tokens[1:-1]


def test_more_tokens_than_fit_are_refused_before_anything_is_tokenized(client: Client) -> None:
    """The sentence has the bytes of text that fit. Six megabytes of text would take two gigabytes of memory."""
    status, _, sentence = client.post({"inputs": "a " * 500_000}, "/tokenize").error
    assert (status, "bytes of text at a time" in sentence) == (413, True)


def test_many_lists_of_token_ids_are_refused_before_they_are_read(client: Client) -> None:
    """The limit of a batch refuses them."""
    reply = client.post({"input": [[1999]] * 100_000}, "/v1/embeddings")
    assert reply.json["error"]["message"] == "batch size 100000 > maximum allowed batch size 2048"


def test_as_many_sentences_as_a_batch_may_have_can_be_compared(client: Client) -> None:
    """The source sentence does not count."""
    body = {"inputs": {"source_sentence": "a", "sentences": ["b"] * 2048}}
    assert len(client.post(body, "/similarity").json) == 2048
    body["inputs"]["sentences"] = ["b"] * 2049
    assert client.post(body, "/similarity").error[2] == "batch size 2049 > maximum allowed batch size 2048"


def test_all_tokens_of_a_long_text_are_returned(client: Client) -> None:
    """Only embedding truncates."""
    assert len(client.post({"inputs": "word " * 300}, "/tokenize").json[0]) == 302


def test_every_token_s_vector_pools_to_the_text_s(client: Client) -> None:
    """The default model's pooling is the mean."""
    texts = ["short", SUNNY]
    tokens = client.post({"inputs": texts}, "/embed_all").json
    assert [len(text) for text in tokens] == [3, 15]
    pooled = np.stack([np.array(text, np.float32).mean(axis=0) for text in tokens])
    expected = np.array(client.post({"inputs": texts, "normalize": False}).json, np.float32)
    np.testing.assert_allclose(pooled, expected, atol=1e-4)  # a text's vector has 16 bits a number


def test_more_token_vectors_than_fit_are_refused(client: Client) -> None:
    """The sentence has the number of tokens that fit."""
    status, _, sentence = client.post({"inputs": ["word " * 300] * 4}, "/embed_all").error
    assert (status, sentence.endswith("send at most 960 tokens at a time")) == (413, True)


BODIES = {
    "huggingface_hub": ("/", {"inputs": {"source_sentence": SUNNY, "sentences": TEXTS}, "parameters": {}}),
    "LiteLLM": ("/", {"inputs": None, "source_sentence": SUNNY, "sentences": TEXTS}),
    "TEI": ("/similarity", {"inputs": {"source_sentence": SUNNY, "sentences": TEXTS}}),
    "TEI, with parameters": (
        "/similarity",
        {"inputs": {"source_sentence": SUNNY, "sentences": TEXTS}, "parameters": {"truncate": True}},
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_similarities_are_cosines_in_the_order_of_the_sentences(client: Client, name: str) -> None:
    """Clients send the sentences in three shapes."""
    path, body = BODIES[name]
    vectors = rows(client, TEXTS)
    np.testing.assert_allclose(client.post(body, path).json, vectors @ vectors[0], atol=1e-6)


@pytest.mark.parametrize("path", ["/", "/similarity"])
@pytest.mark.parametrize("place", ["parameters", "options"])
def test_a_comparison_has_the_same_options_on_both_paths(client: Client, path: str, place: str) -> None:
    """The clients of text-embeddings-inference put them into `parameters` on /similarity."""
    body = {"inputs": {"source_sentence": SUNNY, "sentences": ["word " * 300]}, place: {"truncate": False}}
    status, _, sentence = client.post(body, path).error
    assert (status, "must have less than 256 tokens" in sentence) == (422, True)
    assert client.post({**body, place: 1}, path).error[2] == f"`{place}` must be an object. Given: 1"
    document = client.get("/openapi.json").json
    assert place in document["components"]["schemas"]["Comparison"]["properties"]


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"source_sentence": "a", "sentences": []}, "`sentences` cannot be empty"),
        ({"source_sentence": "a", "sentences": ["b", ""]}, "`sentences[1]` cannot be empty"),
        ({"source_sentence": ["a", "b"], "sentences": ["b"]}, "`source_sentence` must be a string. Given: a list"),
        ({"source_sentence": "", "sentences": ["b"]}, "`source_sentence` cannot be empty"),
        ({"source_sentence": "a", "sentences": [1]}, "`sentences[0]` must be a string. Given: a number"),
        ({"source_sentence": "a"}, "`sentences` must be a string or a list of strings. It is missing"),
        ({"source_sentence": None, "sentences": ["b"]}, "`source_sentence` must be a string. Given: null"),
    ],
)
def test_wrong_fields_of_a_comparison_are_refused(client: Client, inputs: object, sentence: str) -> None:
    """The sentence names the field."""
    assert client.post({"inputs": inputs}).error[2] == sentence


def test_a_body_without_sentences_is_refused(client: Client) -> None:
    """The route for similarities has no other task."""
    status, _, sentence = client.post({"inputs": "a"}, "/similarity").error
    assert (status, sentence) == (422, '`inputs` must be an object like {"source_sentence": "a text", "sentences": ["others"]}')


def ids_of(client: Client, texts: list[str]) -> list[list[int]]:
    """Return the token ids of texts, special ones included."""
    return [[token["id"] for token in text] for text in client.post({"inputs": texts}, "/tokenize").json]


def test_token_ids_are_decoded_to_their_text(client: Client) -> None:
    """One list is one text. Special tokens are skipped by default, as in text-embeddings-inference."""
    ids = ids_of(client, ["hello world", "sunny day"])
    assert client.post({"ids": ids}, "/decode").json == ["hello world", "sunny day"]
    assert client.post({"ids": ids[0], "skip_special_tokens": True}, "/decode").json == ["hello world"]
    assert client.post({"ids": ids[0], "skip_special_tokens": False}, "/decode").json == ["[CLS] hello world [SEP]"]


IDS = "`ids` must be a list of token ids or a list of such lists"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, IDS),
        ({"ids": "a"}, IDS),
        ({"ids": [1, "a"]}, IDS),
        ({"ids": [[1], 2]}, IDS),
        ({"ids": ["a"]}, IDS),
        ({"ids": [-1]}, IDS),
        ({"ids": [True]}, IDS),
        ({"ids": [[[1]]]}, IDS),
        ({"ids": []}, "`ids` cannot be empty"),
        ({"ids": [[]]}, "`ids` cannot be empty"),
        ({"ids": [[1], []]}, "`ids[1]` cannot be empty"),
        ({"ids": [10**6]}, "a token id must be below 30522, the size of this model's vocabulary. Given: 1000000"),
        ({"ids": [1], "skip_special_tokens": "no"}, "`skip_special_tokens` must be true or false. Given: 'no'"),
        ({"ids": [1] * 300_001}, "`ids` has 300001 token ids > 300000, the most of one request"),
        ({"ids": [[1]] * 2049}, "batch size 2049 > maximum allowed batch size 2048"),
    ],
)
def test_wrong_token_ids_are_refused(client: Client, fields: object, sentence: str) -> None:
    """The sentence names the field."""
    status, _, said = client.post(fields, "/decode").error
    assert (status in {400, 413, 422}, said) == (True, sentence)


def test_more_text_than_fits_is_not_sent(service: Service, client: Client) -> None:
    """A load balancer carries 1 MB. The sentence has the number of token ids that fit."""
    ((_, longest, _),) = ids_of(client, ["telecommunications"])
    body = json.dumps({"ids": [longest] * 100_000})
    reply = make_handler(service, None)(event("alb", path="/decode", body=body), None)
    assert reply["statusCode"] == 413
    assert json.loads(reply["body"])["error"].endswith("through a load balancer: send at most 49590 token ids at a time")
