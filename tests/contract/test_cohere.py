"""Cohere's dialect: `/v1/embed` and `/v2/embed`."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.service import Service
from handler.vector_types import TYPES, ModelTypes
from tests.conftest import INT8, Client, ClientOf

TEXTS = ["Today is a sunny day and I will get some ice cream.", "It rained all morning."]
LONG = " ".join(str(number) for number in range(400))
V1, V2 = "/v1/embed", "/v2/embed"
CONTENT = [{"content": [{"type": "text", "text": text}]} for text in TEXTS]


@pytest.fixture(scope="module")
def expected(service: Service, client: Client) -> dict[str, Any]:
    """Return the texts' vectors by Cohere's names of types, made of the float32 vectors that `/` returns."""
    sent = client.post({"inputs": TEXTS}).json
    floats = np.array(sent, np.float32)
    types = ModelTypes(384, service.manifest.ranges)
    made = {name: types.make(floats, name).tolist() for name in TYPES if name != "float32"}
    return made | {"float": sent, "base64": [base64.b64encode(row.astype("<f4")).decode() for row in floats]}


@pytest.fixture
def prompted(client_of: ClientOf, tmp_path: Path) -> Client:
    """Make a client of the default model with two prompts, one of which it uses by default."""
    manifest = json.loads((INT8 / "manifest.json").read_text())
    for name in manifest["files"]:
        (tmp_path / name).symlink_to(INT8 / name)
    prompts = {"prompts": {"query": "q: ", "passage": "p: "}, "default_prompt_name": "passage"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | prompts))
    return client_of(tmp_path)


def test_version_2_always_returns_vectors_by_type(client: Client, expected: dict[str, Any]) -> None:
    """The default type is float; the tokens are billed units, and their number is that of the header."""
    reply = client.post({"model": "embed-v4.0", "texts": TEXTS, "input_type": "search_document"}, V2)
    content = reply.json
    assert content.keys() == {"id", "response_type", "embeddings", "texts", "meta"}
    assert content["response_type"] == "embeddings_by_type"
    assert content["embeddings"] == {"float": expected["float"]}
    assert content["texts"] == TEXTS
    tokens = int(reply.headers["x-compute-tokens"])
    assert content["meta"] == {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}}


def test_version_1_returns_a_list_of_vectors_unless_types_are_named(client: Client, expected: dict[str, Any]) -> None:
    """The response says which of the two it is."""
    plain = client.post({"texts": TEXTS}, V1).json
    typed = client.post({"texts": TEXTS, "embedding_types": ["float"]}, V1).json
    assert (plain["response_type"], plain["embeddings"]) == ("embeddings_floats", expected["float"])
    assert (typed["response_type"], typed["embeddings"]) == ("embeddings_by_type", {"float": expected["float"]})
    assert plain["meta"]["api_version"] == {"version": "1"}


@pytest.mark.parametrize("path", [V1, V2])
def test_one_request_can_name_every_type(client: Client, expected: dict[str, Any], path: str) -> None:
    """All are made of the same float32 vectors; a text is embedded once."""
    reply = client.post({"texts": TEXTS, "embedding_types": list(expected)}, path)
    assert reply.json["embeddings"] == expected
    assert int(reply.headers["x-cache-hits"]) + int(reply.headers["x-cache-misses"]) == len(TEXTS)


def test_inputs_of_content_are_the_same_as_texts(client: Client, expected: dict[str, Any]) -> None:
    """Version 2 has them for images, too, which are refused."""
    assert client.post({"inputs": CONTENT, "texts": None}, V2).json["embeddings"]["float"] == expected["float"]


def test_output_dimension_keeps_the_first_dimensions(client: Client) -> None:
    """Binary vectors of them are packed by eight."""
    content = client.post({"texts": TEXTS, "output_dimension": 64, "embedding_types": ["float", "ubinary"]}, V2).json["embeddings"]
    floats = np.array(client.post({"inputs": TEXTS, "dimensions": 64}).json, np.float32)
    assert np.array_equal(np.array(content["float"], np.float32), floats)
    assert content["ubinary"] == np.packbits(floats > 0, axis=1).tolist()


@pytest.mark.parametrize(("truncate", "direction"), [("START", "left"), ("END", "right")])
def test_truncate_chooses_the_end(client: Client, truncate: str, direction: str) -> None:
    """NONE refuses a text that is too long."""
    found = client.post({"texts": [LONG], "truncate": truncate}, V2).json["embeddings"]["float"]
    assert found == client.post({"inputs": LONG, "truncation_direction": direction}).json
    refused = client.post({"texts": [LONG], "truncate": "NONE"}, V2)
    assert (refused.status, "must have less than 256 tokens" in refused.json["message"]) == (422, True)


@pytest.mark.parametrize(
    ("input_type", "prompt_name"),
    [("search_query", "query"), ("search_document", "passage"), ("query", "query"), ("passage", "passage"), (None, "passage")],
)
def test_the_input_type_chooses_the_prompt(prompted: Client, input_type: str | None, prompt_name: str) -> None:
    """Without a type, the model's default prompt counts."""
    reply = prompted.post({"texts": TEXTS, "input_type": input_type}, V2)
    assert reply.json["embeddings"]["float"] == prompted.post({"inputs": TEXTS, "prompt_name": prompt_name}).json
    assert "x-hf-warning" not in reply.headers


@pytest.mark.parametrize(
    ("input_type", "named"),
    [
        ("clustering", "'clustering'"),
        ("text.matching", "'text.matching'"),
        ("a kind\nof text", "a string of 14 characters"),
        ("日本", r"'\u65e5\u672c'"),
    ],
)
def test_an_input_type_without_a_prompt_means_no_prompt_and_a_warning(prompted: Client, input_type: str, named: str) -> None:
    """The model's default prompt is for another kind of text. The header is ASCII whatever the type is."""
    reply = prompted.post({"texts": TEXTS, "input_type": input_type}, V2)
    assert reply.json["embeddings"]["float"] == prompted.post({"inputs": TEXTS, "prompt_name": ""}).json
    assert reply.headers["x-hf-warning"] == f"input_type; the model has no prompt for {named}"


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no texts": ({}, 422, "`texts` must be a string or a list of strings. It is missing"),
    "an empty text": ({"texts": ["a", ""]}, 400, "`texts[1]` cannot be empty"),
    "images": ({"images": ["data:image/png;base64,"]}, 422, "`images` cannot be embedded: this model embeds text"),
    "an image": (
        {"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
        422,
        "`inputs[0].content[0]` cannot be embedded: this model embeds text",
    ),
    "two parts": (
        {"inputs": [CONTENT[0], {"content": [*CONTENT[0]["content"]] * 2}]},
        422,
        "`inputs[1]` must be an object whose `content` has one text. Given: an object",
    ),
    "a string as input": ({"inputs": ["a"]}, 422, "`inputs[0]` must be an object whose `content` has one text. Given: a string"),
    "a type": (
        {"texts": ["a"], "embedding_types": ["float", "int4"]},
        422,
        "`embedding_types[1]` must be `float` or `int8` or `uint8` or `binary` or `ubinary` or `base64`. Given: 'int4'",
    ),
    "int8 of a size": (
        {"texts": ["a"], "embedding_types": ["int8"], "output_dimension": 64},
        422,
        "`output_dtype` int8 needs ranges, which this model has for 384 dimensions, not for 64. ",
    ),
    "max_tokens": ({"texts": ["a"], "max_tokens": 100}, 422, "`max_tokens` must be at least 256, the number of tokens at which "),
}


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_in_message_which_cohere_s_clients_read(client: Client, path: str, name: str) -> None:
    """The same sentence is in `error`."""
    fields, status, sentence = REFUSED[name]
    reply = client.post(fields, path)
    assert (reply.status, reply.json["message"][: len(sentence)]) == (status, sentence)
    assert reply.json["error"] == reply.json["message"]


def test_max_tokens_that_change_nothing_are_accepted(client: Client) -> None:
    """Cohere's larger models have larger limits."""
    assert client.post({"texts": TEXTS, "max_tokens": 256}, V2).status == 200


def test_a_response_with_many_types_is_refused_before_anything_is_embedded(client_of: ClientOf) -> None:
    """The bound of its size is the sum over the types."""
    client = client_of(INT8, MAX_CLIENT_BATCH_SIZE="5000")
    many = {"texts": ["a"] * 900}
    assert client.post({**many, "embedding_types": ["int8", "float"]}, V2).status == 413
    assert len(client.post({**many, "embedding_types": ["int8", "ubinary"]}, V2).json["embeddings"]["int8"]) == 900
