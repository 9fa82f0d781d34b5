"""The fields of Voyage, Jina, NVIDIA and Mistral on OpenAI's path."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.prompts import prompt_for
from handler.service import Service
from handler.vector_types import TYPES, ModelTypes
from tests.conftest import INT8, Client, ClientOf

PATH = "/v1/embeddings"
TEXTS = ["Today is a sunny day and I will get some ice cream.", "It rained all morning."]
LONG = " ".join(str(number) for number in range(400))


def vectors(client: Client, **fields: object) -> list[Any]:
    """Return the embeddings of a request on OpenAI's path."""
    reply = client.post({"input": TEXTS, "model": "any", **fields}, PATH)
    assert reply.status == 200, reply.body
    return [item["embedding"] for item in reply.json["data"]]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"output_dimension": 64}, {"dimensions": 64}),
        ({"output_dimension": None, "truncation": None, "input_type": None, "task": None, "embedding_type": None}, {}),
        ({"output_dtype": "float", "encoding_format": "float"}, {}),
        ({"normalized": False}, {"normalize": False}),
        ({"normalized": True, "late_chunking": False, "return_multivector": None}, {"normalize": True}),
        ({"input": LONG, "truncation": True}, {"inputs": LONG}),
        ({"input": LONG, "truncate": "START"}, {"inputs": LONG, "truncation_direction": "left"}),
        ({"input": [{"text": text} for text in TEXTS]}, {}),
        ({"input": [{"text": TEXTS[0]}, TEXTS[1]], "normalized": False, "normalize": True}, {}),
    ],
)
def test_a_provider_s_name_of_an_option_does_what_ours_does(client: Client, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """If a request has both, ours counts."""
    assert vectors(client, **theirs) == client.post({"inputs": TEXTS, **ours}).json


@pytest.mark.parametrize("field", ["output_dtype", "embedding_type"])
@pytest.mark.parametrize("name", [name for name in TYPES if name != "float32"])
def test_every_type_of_vectors_has_both_names(client: Client, service: Service, field: str, name: str) -> None:
    """`output_dtype` is Voyage's and Mistral's, `embedding_type` Jina's and NVIDIA's. Base64 has the bytes of the type."""
    floats = np.array(client.post({"inputs": TEXTS}).json, np.float32)
    made = ModelTypes(384, service.manifest.ranges).make(floats, name)
    assert vectors(client, **{field: name}) == made.tolist()
    assert [base64.b64decode(row) for row in vectors(client, **{field: name}, encoding_format="base64")] == [
        row.tobytes() for row in made
    ]


@pytest.mark.parametrize("value", ["base64", ["base64"]])
def test_jina_s_type_base64_is_an_encoding(client: Client, value: object) -> None:
    """Of float32."""
    assert vectors(client, embedding_type=value) == vectors(client, encoding_format="base64")


@pytest.mark.parametrize(("kind", "name"), [
    ("query", "query"), ("search_query", "query"), ("retrieval.query", "query"), ("passage", "passage"), ("document", "passage"),
    ("search_document", "passage"), ("retrieval.passage", "passage"), ("text-matching", "text-matching"),
])  # fmt: skip
@pytest.mark.parametrize("field", ["input_type", "task"])
def test_the_kind_of_text_chooses_the_prompt(client_of: ClientOf, tmp_path: Path, field: str, kind: str, name: str) -> None:
    """A prompt of exactly this name wins; `prompt_name` wins over all."""
    manifest = json.loads((INT8 / "manifest.json").read_text())
    for file in manifest["files"]:
        (tmp_path / file).symlink_to(INT8 / file)
    prompts = {"query": "q: ", "passage": "p: ", "text-matching": "m: "}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"prompts": prompts}))
    client = client_of(tmp_path)
    assert vectors(client, **{field: kind}) == client.post({"inputs": TEXTS, "prompt_name": name}).json
    chosen = {field: kind, "prompt_name": "text-matching"}
    assert vectors(client, **chosen) == client.post({"inputs": TEXTS, "prompt_name": "text-matching"}).json


@pytest.mark.parametrize(
    ("kind", "known", "chosen"),
    [
        ("query", ["s2p_query", "search_query"], "s2p_query"),
        ("query", ["search_query", "query"], "query"),
        ("search_query", ["query", "search_query"], "search_query"),
        ("retrieval.query", ["document"], None),
        ("document", ["corpus", "search_document"], "search_document"),
        ("clustering", ["clustering", "query"], "clustering"),
        ("classification", ["query"], None),
    ],
)
def test_the_first_name_of_a_kind_that_the_model_has_counts(kind: str, known: list[str], chosen: str | None) -> None:
    """Models name the prompt of one kind differently."""
    assert prompt_for(kind, known) == chosen


def test_a_kind_without_a_prompt_is_named_in_a_header(client: Client) -> None:
    """The texts are embedded without a prompt."""
    reply = client.post({"input": TEXTS, "task": "classification"}, PATH)
    assert reply.headers["x-hf-warning"] == "task; the model has no prompt for 'classification'"
    assert [item["embedding"] for item in reply.json["data"]] == client.post({"inputs": TEXTS}).json


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"late_chunking": True}, "`late_chunking` is not supported: each text gets a vector of its own"),
        ({"return_multivector": True}, "`return_multivector` is not supported: for the vectors of tokens, use /embed_all"),
        ({"input": [{"image": "https://example.com/a.png"}]}, "`input[0]` must be a string or an object with a `text` alone: "),
        ({"input": ["a", {"text": "a", "image": "b"}]}, "`input[1]` must be a string or an object with a `text` alone: "),
        ({"input": [{"text": 1}]}, "`input[0]` must be a string. Given: a number"),
        ({"input": LONG, "truncation": False}, "Input validation error: `input` must have less than 256 tokens. Given: "),
        ({"input_type": 1}, "`input_type` must be a string. Given: 1"),
        ({"task": ["query"]}, "`task` must be a string. Given: a list"),
        ({"embedding_type": ["float", "binary"]}, "`embedding_type` must name one type of vectors. Given: a list of 2"),
        (
            {"embedding_type": "int4"},
            "`output_dtype` must be `float32` or `int8` or `uint8` or `binary` or `ubinary`. Given: 'int4'",
        ),
        ({"output_dimension": 0}, "`dimensions` must be between 1 and 384. Given: 0"),
        ({"normalized": "yes"}, "`normalize` must be true or false. Given: 'yes'"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client: Client, fields: dict[str, Any], sentence: str) -> None:
    """Each provider's clients read another field of the error."""
    reply = client.post({"input": TEXTS, **fields}, PATH)
    assert reply.status == 422
    error = reply.json
    assert error["error"]["message"].startswith(sentence)
    assert error["detail"] == error["message"] == error["error"]["message"]
