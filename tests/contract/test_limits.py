"""Requests whose response cannot fit or cannot be made in time are refused before anything is embedded."""

import base64
import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.emulator import Emulator
from handler.doors import DIRECT, ENVELOPE_BYTES, FRONT_DOORS, LAMBDA_BYTES, FrontDoor, door_of
from handler.encoding import NUMBER_BYTES, encode_vectors, row_bytes
from handler.functions.api import make_handler
from handler.http.openai import ITEM_BYTES
from handler.service import Service
from tests.conftest import FP32, ROOT, Client
from tests.contract.example_requests import event

LONGEST = np.float32(-0.0000063184107)
"""No float32 takes more characters than this one."""
DOORS = {door.name: door for door in FRONT_DOORS}


def test_no_float32_takes_more_bytes_than_the_bound() -> None:
    """The two million numbers have every exponent, both signs, and the first, the last and 4,000 random fractions."""
    generator = np.random.default_rng(7)
    fractions = np.concatenate([[0, 1, 2**23 - 1], generator.integers(0, 2**23, 4000)]).astype(np.uint32)
    longest = 0
    for exponent in range(255):
        bits = (np.uint32(exponent) << np.uint32(23)) | fractions
        numbers = np.concatenate([bits, bits | np.uint32(1 << 31)]).view(np.float32)
        written = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        longest = max(longest, *map(len, written))
    assert longest + 1 == NUMBER_BYTES
    assert len(orjson.dumps(np.array([LONGEST]), option=orjson.OPT_SERIALIZE_NUMPY)) == NUMBER_BYTES + 1


@given(count=st.integers(1, 20), dimension=st.integers(1, 400))
@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_no_response_takes_more_bytes_than_its_bound(count: int, dimension: int, encoding_format: Any) -> None:  # noqa: ANN401
    """The response has the longest numbers, and is written as in Lambda's envelope."""
    content = encode_vectors(np.full((count, dimension), LONGEST), encoding_format)
    in_envelope = len(json.dumps(content.decode())) - 2
    assert in_envelope <= count * row_bytes(dimension, encoding_format) + 2
    if encoding_format == "base64":
        assert len(base64.b64encode(content)) <= count * row_bytes(dimension, encoding_format) + 4


def test_the_bound_counts_openai_s_objects_around_vectors(client: Client) -> None:
    """A large batch has large indices, which take more characters."""
    reply = client.post({"input": ["a"] * 2048, "dimensions": 1}, "/v1/embeddings")
    assert len(json.dumps(reply.body.decode())) <= 2048 * (ITEM_BYTES + row_bytes(1, "float")) + ENVELOPE_BYTES


def test_each_front_door_is_recognized_by_its_events() -> None:
    """Each front door has a row of its own in the table."""
    names = {"http_api_v2": "an HTTP API", "rest_v1": "a REST API", "function_url": "a function URL", "alb": "a load balancer"}
    assert {name: getattr(door_of(event(name)), "name", None) for name in names} == names
    assert set(DOORS) == set(names.values())


def test_2048_vectors_in_base64_fit_through_an_http_api(client: Client) -> None:
    """2,048 texts are the default limit of a batch. OpenAI's clients send so many at a time, and ask for base64."""
    texts = [f"text {number}" for number in range(2048)]
    reply = client.post({"input": texts, "encoding_format": "base64"}, "/v1/embeddings")
    assert (reply.status, len(reply.json["data"])) == (200, 2048)
    as_numbers = client.post({"inputs": texts})
    assert (as_numbers.status, "send at most 960 inputs at a time" in as_numbers.error[2]) == (413, True)


def test_a_batch_that_might_not_fit_is_refused_with_the_largest_that_does(service: Service) -> None:
    """The response is 413, and comes at once because nothing was embedded."""
    door, answer = DOORS["a load balancer"], make_handler(service, None)
    fits = (door.response_bytes - ENVELOPE_BYTES) // row_bytes(384, "float")

    def ask(count: int) -> dict[str, Any]:
        texts = [f"text {number}" for number in range(count)]
        reply: dict[str, Any] = answer(event("alb", body=json.dumps({"inputs": texts})), None)
        return reply

    largest, refused = ask(fits), ask(fits + 1)
    assert largest["statusCode"] == 200
    assert len(json.dumps(largest)) <= door.response_bytes
    assert refused["statusCode"] == 413
    assert f"send at most {fits} inputs at a time" in json.loads(refused["body"])["error"]
    assert "x-inference-time" not in refused["headers"]


@pytest.mark.parametrize("name", ["http_api_v2", "rest_v1", "function_url", "alb"])
@pytest.mark.parametrize("fields", [{}, {"truncation_direction": "left"}], ids=["head", "tail"])
def test_six_million_characters_in_six_kilobytes_of_gzip_are_truncated(service: Service, name: str, fields: dict[str, str]) -> None:
    """Tokenizing all of them took 31 s and 2.7 GB; a function has 29 s and 1.8 GB."""
    body = gzip.compress(json.dumps({"inputs": "!" * 6_200_000} | fields).encode())
    made = event(name) | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    made["headers"]["content-encoding"] = "gzip"
    reply = make_handler(service, None)(made, None)
    assert reply["statusCode"] == 200
    assert reply["headers"]["x-compute-tokens"] == "256"


def test_a_long_text_in_a_record_is_truncated(service: Service) -> None:
    """Records of every event source go through the same service as requests."""
    reply = json.loads(make_handler(service, None)({"records": [{"id": "a", "inputs": "漢" * 1_000_000}]}, None))
    assert [(record["id"], record["tokens"], record["truncated"]) for record in reply] == [("a", 256, True)]


def test_tokens_of_a_long_text_are_refused(client: Client) -> None:
    """The bound of the response refuses them before anything is tokenized."""
    status, _, sentence = client.post({"inputs": "!" * 1_000_000}, "/tokenize").error
    assert (status, "bytes of text" in sentence) == (413, True)


def test_more_token_ids_than_openai_accepts_are_refused(client: Client) -> None:
    """Each token id can become a hundred characters of text."""
    for ids in ([1] * 300_001, [[1] * 200_000, [2] * 100_001]):
        assert client.post({"input": ids}, "/v1/embeddings").status == 413


@pytest.mark.parametrize(("path", "fields", "name"), [
    ("/", {"inputs": ["same", "same", "same", "ab\ud800"]}, "inputs[3]"),
    ("/v1/embeddings", {"input": ["same", "same", "ab\ud800"]}, "input[2]"),
    ("/similarity", {"inputs": {"source_sentence": "same", "sentences": ["same", "ab\ud800"]}}, "sentences[1]"),
])  # fmt: skip
def test_a_refused_text_is_named_by_the_client_s_field_and_index(client: Client, path: str, fields: object, name: str) -> None:
    """The index counts all texts of the request, repeated ones included."""
    reply = client.post(fields, path)
    assert reply.status == 422
    assert f"`{name}` is not valid Unicode: it holds the lone surrogate U+D800 at position 2" in reply.body.decode()


LONG = "word " * 300


@pytest.mark.parametrize(("path", "fields", "name"), [
    ("/", {"inputs": LONG}, "inputs"),
    ("/", {"inputs": [LONG]}, "inputs"),
    ("/", {"inputs": ["same", "same", LONG, LONG]}, "inputs[2]"),
    ("/", {"inputs": {"source_sentence": "same", "sentences": ["same", LONG]}}, "sentences[1]"),
    ("/similarity", {"inputs": {"source_sentence": LONG, "sentences": ["same", "same"]}}, "source_sentence"),
    ("/embed_all", {"inputs": ["same", LONG]}, "inputs[1]"),
    ("/v1/embeddings", {"input": ["same", LONG]}, "input[1]"),
    ("/api/embed", {"input": ["same", LONG]}, "input[1]"),
    ("/api/embeddings", {"prompt": LONG}, "prompt"),
    ("/v2/embed", {"texts": ["same", LONG]}, "texts[1]"),
    ("/v2/embed", {"inputs": [{"content": [{"type": "text", "text": text}]} for text in ("same", LONG)]}, "inputs[1]"),
    ("/model/amazon.titan-embed-text-v2:0/invoke", {"inputText": LONG}, "inputText"),
    ("/model/cohere.embed-english-v3/invoke", {"texts": ["same", LONG]}, "texts[1]"),
    ("/rerank", {"query": "same", "texts": ["same", "same", LONG, LONG]}, "texts[2]"),
    ("/rerank", {"query": "same", "documents": ["same", LONG]}, "documents[1]"),
    ("/v1/rerank", {"query": "same", "documents": ["same", {"text": LONG}]}, "documents[1]"),
    ("/v2/rerank", {"query": LONG, "documents": ["same", "same"]}, "query"),
])  # fmt: skip
def test_a_text_that_is_too_long_is_named_by_the_client_s_field_and_index(
    client: Client, path: str, fields: dict[str, object], name: str
) -> None:
    """In a batch of 2,048 texts nobody could find it otherwise."""
    reply = client.post({**fields, "truncate": False}, path)
    assert reply.status == 422
    assert f"Input validation error: `{name}` must have less than 256 tokens. Given: 302" in reply.body.decode()


WITHOUT_BLANKS = "a" * 300_000


@pytest.mark.parametrize(("path", "fields", "name"), [
    ("/", {"inputs": WITHOUT_BLANKS}, "inputs"),
    ("/", {"inputs": ["same", "same", WITHOUT_BLANKS]}, "inputs[2]"),
    ("/similarity", {"inputs": {"source_sentence": "same", "sentences": ["same", WITHOUT_BLANKS]}}, "sentences[1]"),
    ("/embed_all", {"inputs": ["same", WITHOUT_BLANKS]}, "inputs[1]"),
    ("/v1/embeddings", {"input": ["same", WITHOUT_BLANKS]}, "input[1]"),
    ("/v2/embed", {"texts": ["same", WITHOUT_BLANKS]}, "texts[1]"),
    ("/rerank", {"query": "same", "texts": ["same", "same", WITHOUT_BLANKS]}, "texts[2]"),
    ("/v1/rerank", {"query": "same", "documents": ["same", WITHOUT_BLANKS]}, "documents[1]"),
    ("/v2/rerank", {"query": WITHOUT_BLANKS, "documents": ["same"]}, "query"),
])  # fmt: skip
def test_a_text_that_cannot_be_truncated_is_named_by_the_client_s_field_and_index(
    client: Client, path: str, fields: dict[str, object], name: str
) -> None:
    """The index counts repeated texts before it."""
    reply = client.post(fields, path)
    assert reply.status == 422
    assert f"`{name}` cannot be truncated to 256 tokens: " in reply.body.decode()


def test_a_body_larger_than_its_door_carries_is_refused(client: Client) -> None:
    """The sentence has the limit and the size. A gateway itself accepts up to 10 MB."""
    limit = LAMBDA_BYTES - ENVELOPE_BYTES
    body = json.dumps({"inputs": "a" * limit}).encode()
    assert client.request("POST", "/", body, content_type="application/json").error == (
        413,
        "Validation",
        f"the request body has {len(body)} bytes > {limit}, the most that fits through an HTTP API",
    )


def test_a_megabyte_of_text_is_truncated_or_refused(client: Client) -> None:
    """Only a little more than the part that is kept is tokenized."""
    text = "word " * 200_000
    assert client.post({"inputs": text}).status == 200
    status, _, sentence = client.post({"inputs": text, "truncate": False}).error
    assert (status, "must have less than 256 tokens. Given: more than " in sentence) == (422, True)


def is_left(deadline: Callable[[], float], seconds: float) -> bool:
    """Return whether a deadline is in so many seconds from the time at which it is computed. The gateways count in milliseconds."""
    before = time.monotonic()
    found = deadline()
    return before + seconds - 0.01 <= found <= time.monotonic() + seconds + 0.01


@pytest.mark.parametrize("door", [*FRONT_DOORS, DIRECT], ids=lambda door: door.name)
def test_the_deadline_is_the_shorter_of_the_door_s_patience_and_the_function_s_time(door: FrontDoor) -> None:
    """One second of it is kept for writing the response."""
    assert is_left(lambda: door.deadline({"requestContext": {}}, None), door.patience_seconds - 1)
    assert is_left(lambda: door.deadline({"requestContext": {}}, 5000), 4)


@pytest.mark.parametrize(("name", "stamp"), [("http_api_v2", "timeEpoch"), ("rest_v1", "requestTimeEpoch")])
def test_a_gateway_s_clock_counts_from_when_it_took_the_request(name: str, stamp: str) -> None:
    """A cold start of ten seconds counts; the time stamp of an event from last year does not."""
    made = event(name)
    door = door_of(made)
    assert door

    def deadline(age_s: float) -> float:
        made["requestContext"][stamp] = int((time.time() - age_s) * 1000)
        return door.deadline(made, None)

    assert is_left(lambda: deadline(10), 29 - 10 - 1)
    assert is_left(lambda: deadline(10_000_000), 29 - 1)
    assert is_left(lambda: deadline(-60), 29 - 1)


def test_a_batch_that_takes_too_long_gets_413_before_the_time_out() -> None:
    """The sentence says how many texts were done. AWS's emulator kills a function at its time-out.

    Ten seconds are enough for a cold start on a slow machine, and too few for the batch on a fast one.
    """
    body = json.dumps({"inputs": [f"{number} " + "word " * 300 for number in range(512)]})
    environment = {"PATH": "/usr/bin:/bin", "MODEL_DIR": str(FP32), "THREADS": "1", "AUTH": "none"}
    with Emulator(env=environment, timeout_seconds=10) as emulator:
        warm = json.loads(emulator.invoke((ROOT / "events/http_api_v2.json").read_bytes()))
        late = json.loads(emulator.invoke(json.dumps(event("http_api_v2", body=body)).encode()))
    assert warm["statusCode"] == 200
    assert late.get("statusCode") == 413, emulator.log
    sentence = json.loads(late["body"])["error"]
    assert sentence.startswith("the time ran out: ")
    assert " of 512 inputs were embedded in " in sentence
