"""`output_dtype` and `embedding_types`: small vectors on the wire."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.functions.api import make_handler
from handler.service import Service
from handler.vector_types import TYPES, ModelTypes
from tests.conftest import INT8, Client, ClientOf
from tests.layers.model import tiny_bert
from tests.layers.model.commands import make

TEXTS = ["Today is a sunny day and I will get some ice cream.", "It rained all morning."]
SMALL = [name for name in TYPES if name != "float32"]


@pytest.fixture(scope="module")
def expected(service: Service, client: Client) -> dict[str, np.ndarray]:
    """The texts' vectors of each type, made of the float32 ones that the endpoint gives."""
    floats = np.array(client.post({"inputs": TEXTS}).json, np.float32)
    types = ModelTypes(384, service.manifest.ranges)
    return {name: types.make(floats, name) for name in TYPES}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("field", ["output_dtype", "embedding_types"])
def test_a_type_is_asked_for_by_either_field(client: Client, expected: dict[str, np.ndarray], name: str, field: str) -> None:
    """Whole numbers, without a decimal point."""
    reply = client.post({"inputs": TEXTS, field: [name] if field == "embedding_types" else name})
    assert reply.json == expected[name].tolist()
    assert b"." not in reply.body


@pytest.mark.parametrize("name", TYPES)
def test_type_and_encoding_are_separate(client: Client, expected: dict[str, np.ndarray], name: str) -> None:
    """Base64 of a vector is its own bytes."""
    rows = client.post({"inputs": TEXTS, "output_dtype": name, "encoding_format": "base64"}).json
    assert [base64.b64decode(row) for row in rows] == [row.tobytes() for row in expected[name]]


def test_float_and_float32_are_what_is_given_without_a_type(client: Client) -> None:
    """The same bytes."""
    plain = client.post({"inputs": TEXTS}).body
    for named in ({"output_dtype": "float"}, {"output_dtype": "float32"}, {"embedding_types": ["float"]}, {"output_dtype": None}):
        assert client.post({"inputs": TEXTS, **named}).body == plain


def test_options_of_every_era_may_name_the_type(client: Client, expected: dict[str, np.ndarray]) -> None:
    """Within `parameters`, where huggingface_hub 0.26 to 0.30 put them."""
    assert client.post({"inputs": TEXTS, "parameters": {"output_dtype": "ubinary"}}).json == expected["ubinary"].tolist()


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_openai_s_dialect_takes_a_type_too(client: Client, expected: dict[str, np.ndarray], encoding: str) -> None:
    """Any other option may be combined with it."""
    body = {"input": TEXTS, "model": "m", "output_dtype": "int8", "encoding_format": encoding}
    rows = [item["embedding"] for item in client.post(body, "/v1/embeddings").json["data"]]
    found = [np.frombuffer(base64.b64decode(row), np.int8).tolist() if isinstance(row, str) else row for row in rows]
    assert found == expected["int8"].tolist()


def test_a_bit_a_dimension_is_packed_after_the_slice(client: Client) -> None:
    """64 dimensions are 8 bytes."""
    floats = np.array(client.post({"inputs": TEXTS, "dimensions": 64}).json, np.float32)
    packed = client.post({"inputs": TEXTS, "dimensions": 64, "output_dtype": "ubinary"}).json
    assert packed == np.packbits(floats > 0, axis=1).tolist()
    unnormalized = client.post({"inputs": TEXTS, "dimensions": 64, "output_dtype": "ubinary", "normalize": False})
    assert unnormalized.json == packed


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"output_dtype": "float16"},
            "`output_dtype` must be `float32` or `int8` or `uint8` or `binary` or `ubinary`. Given: 'float16'",
        ),
        ({"output_dtype": 8}, "`output_dtype` must be `float32` or `int8` or `uint8` or `binary` or `ubinary`. Given: 8"),
        ({"embedding_types": "int8"}, "`embedding_types` must be a list of one type of vectors. Given: a string"),
        (
            {"embedding_types": ["int8", "float"]},
            "`embedding_types` must name one type of vectors, and the same as `output_dtype`. Given: 2 entries",
        ),
        (
            {"embedding_types": []},
            "`embedding_types` must name one type of vectors, and the same as `output_dtype`. Given: 0 entries",
        ),
        (
            {"embedding_types": ["int8"], "output_dtype": "uint8"},
            "`embedding_types` must name one type of vectors, and the same as `output_dtype`. Given: 1 entries",
        ),
        (
            {"output_dtype": "int8", "dimensions": 64},
            (
                "`output_dtype` int8 needs ranges, which this model has for 384 dimensions, not for 64. "
                "float32, binary and ubinary need none"
            ),
        ),
        (
            {"output_dtype": "int8", "normalize": False},
            (
                "`output_dtype` int8 has ranges for vectors of length 1 only: set `normalize` to true. "
                "float32, binary and ubinary need none"
            ),
        ),
        (
            {"output_dtype": "binary", "dimensions": 100},
            "`output_dtype` binary puts 8 dimensions into a byte: their number must be divisible by 8. Given: 100",
        ),
    ],
)
def test_what_cannot_be_given_is_refused_by_name(client: Client, fields: dict[str, Any], sentence: str) -> None:
    """422 with what the type needs."""
    assert client.post({"inputs": "a", **fields}).error == (422, "Validation", sentence)


def test_similarity_compares_float32_whatever_type_is_named(client: Client) -> None:
    """It answers numbers, not vectors."""
    body = {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}}
    assert client.post({**body, "output_dtype": "binary"}).body == client.post(body).body


def test_vectors_of_tokens_are_float32(client: Client) -> None:
    """There are no ranges of them."""
    assert (
        client.post({"inputs": "a", "output_dtype": "int8"}, "/embed_all").body == client.post({"inputs": "a"}, "/embed_all").body
    )


def test_info_lists_the_types_that_the_model_gives(client: Client) -> None:
    """It also has the type for requests that name none, and the sizes for which the model has ranges."""
    info = client.get("/info").json
    assert (info["output_dtypes"], info["output_dtype"], info["int8_dimensions"]) == (["float32", *SMALL], "float32", [384])


def test_the_openapi_document_has_the_field(client: Client) -> None:
    """With every name it takes."""
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    for schema in ("FeatureExtraction", "OpenAIEmbedding"):
        assert schemas[schema]["properties"]["output_dtype"]["anyOf"][0]["enum"] == ["float", *TYPES]


def test_a_model_trained_for_smaller_vectors_gives_int8_of_each_size(tmp_path: Path, client_of: ClientOf) -> None:
    """By ranges of their own, because a smaller vector is longer once it is normalized."""
    source = tiny_bert.write(tmp_path / "tiny", config={"matryoshka_dimensions": [32, 16]})
    manifest = make(source, tmp_path / "model")
    small = client_of(tmp_path / "model")
    assert small.get("/info").json["int8_dimensions"] == [16, 32]
    for size in (16, 32):
        floats = np.array(small.post({"inputs": TEXTS, "dimensions": size}).json, np.float32)
        made = small.post({"inputs": TEXTS, "dimensions": size, "output_dtype": "int8"}).json
        assert made == ModelTypes(32, manifest.ranges).make(floats, "int8").tolist()
    refused = small.post({"inputs": TEXTS, "dimensions": 8, "output_dtype": "int8"})
    assert "which this model has for 16 or 32 dimensions, not for 8" in refused.json["error"]


def test_more_small_vectors_than_large_ones_fit_into_an_answer(client_of: ClientOf) -> None:
    """The bound of an answer's size knows the type."""
    client = client_of(INT8, MAX_CLIENT_BATCH_SIZE="5000")
    many = {"inputs": ["a"] * 2000}
    assert client.post(many).status == 413
    assert len(client.post({**many, "output_dtype": "int8"}).json) == 2000


@pytest.mark.parametrize("name", SMALL)
def test_plain_invocations_and_records_name_types_too(service: Service, expected: dict[str, np.ndarray], name: str) -> None:
    """A record names its own."""
    invoke = make_handler(service, None)
    assert json.loads(invoke({"inputs": TEXTS, "output_dtype": name}, None)) == expected[name].tolist()
    records = [{"id": "a", "inputs": TEXTS[0], "output_dtype": name}, {"id": "b", "inputs": TEXTS[1]}]
    small, plain = json.loads(invoke({"records": records}, None))
    assert small["embedding"] == expected[name][0].tolist()
    assert np.array(plain["embedding"], np.float32).tobytes() == expected["float32"][1].tobytes()
    assert "metadata" not in small
