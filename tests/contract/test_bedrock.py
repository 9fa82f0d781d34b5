"""Amazon Bedrock's bodies, in plain invocations and in InvokeModel over HTTP."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.parsers import RestJSONParser

from handler.bootstrap import load_keys
from handler.doors import FRONT_DOORS, LAMBDA_BYTES
from handler.errors import Empty, TooLarge, Validation
from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import INT8, Client, ClientOf
from tests.contract.example_requests import event

TEXT = "Today is a sunny day and I will get some ice cream."
TEXTS = [TEXT, "It rained all morning."]
TITAN, COHERE = "/model/amazon.titan-embed-text-v2:0/invoke", "/model/cohere.embed-english-v3/invoke"


def rows(client: Client, texts: list[str], **options: object) -> np.ndarray:
    """Return the vectors of texts."""
    return np.array(client.post({"inputs": texts, **options}).json, np.float32)


def same(found: object, expected: np.ndarray) -> bool:
    """Return whether JSON has exactly these numbers."""
    return np.array_equal(np.array(found, np.float32), expected)


@pytest.mark.parametrize("path", [
    TITAN,
    "/model/amazon.titan-embed-text-v2%3A0/invoke",
    "/model/any/invoke",
    "/model/arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fours/invoke",
])  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"dimensions": 256}, {"normalize": False}, {"dimensions": 8, "normalize": True}])
def test_titan_s_clients_get_a_vector_by_type_and_the_number_of_tokens(client: Client, path: str, options: dict[str, Any]) -> None:
    """The model in the path is never refused."""
    content = client.post({"inputText": TEXT, **options}, path).json
    (expected,) = rows(client, [TEXT], **options)
    assert content.keys() == {"embedding", "embeddingsByType", "inputTextTokenCount"}
    assert same(content["embedding"], expected)
    assert content["embeddingsByType"] == {"float": content["embedding"]}
    assert content["inputTextTokenCount"] == 15
    assert client.post({"inputText": TEXT, "embeddingTypes": ["float"], **options}, path).json == content


def test_cohere_s_clients_get_a_list_of_vectors_or_one_for_each_type(client: Client) -> None:
    """The response says which of the two it is, and has the texts."""
    expected = rows(client, TEXTS)
    plain = client.post({"texts": TEXTS, "input_type": None}, COHERE).json
    typed = client.post({"texts": TEXTS, "embedding_types": ["float"]}, COHERE).json
    assert plain.keys() == typed.keys() == {"id", "response_type", "embeddings", "texts"}
    assert (plain["response_type"], typed["response_type"]) == ("embeddings_floats", "embeddings_by_type")
    assert same(plain["embeddings"], expected)
    assert typed["embeddings"] == {"float": plain["embeddings"]}
    assert plain["texts"] == typed["texts"] == TEXTS
    assert plain["id"] != typed["id"]


LONG = " ".join(str(number) for number in range(400))


@pytest.mark.parametrize(
    ("truncate", "options"),
    [("END", {}), ("START", {"truncation_direction": "left"}), ("start", {"truncation_direction": "left"}), (True, {})],
)
def test_cohere_s_clients_choose_the_end_that_is_truncated(client: Client, truncate: object, options: dict[str, str]) -> None:
    """START drops the beginning, END the end; NONE refuses a text that is too long."""
    found = client.post({"texts": [LONG], "truncate": truncate}, COHERE)
    assert same(found.json["embeddings"], rows(client, [LONG], **options))
    refused = client.post({"texts": [LONG], "truncate": "NONE"}, COHERE)
    assert (refused.status, "must have less than 256 tokens" in refused.json["message"]) == (422, True)


@pytest.fixture
def prompted(client_of: ClientOf, tmp_path: Path) -> Client:
    """Make a client of the default model with two prompts."""
    manifest = json.loads((INT8 / "manifest.json").read_text())
    for name in manifest["files"]:
        (tmp_path / name).symlink_to(INT8 / name)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"prompts": {"query": "q: ", "passage": "p: "}}))
    return client_of(tmp_path)


@pytest.mark.parametrize(("input_type", "name"), [("search_query", "query"), ("search_document", "passage")])
def test_the_input_type_chooses_the_model_s_prompt(prompted: Client, input_type: str, name: str) -> None:
    """Nothing has to be said about it."""
    reply = prompted.post({"texts": TEXTS, "input_type": input_type}, COHERE)
    assert same(reply.json["embeddings"], rows(prompted, TEXTS, prompt_name=name))
    assert "x-hf-warning" not in reply.headers


def test_an_input_type_without_a_prompt_is_named_in_a_header(prompted: Client) -> None:
    """The texts are embedded all the same; a truncated text is named in the same header."""
    reply = prompted.post({"texts": [LONG], "input_type": "clustering"}, COHERE)
    assert same(reply.json["embeddings"], rows(prompted, [LONG]))
    warnings = "truncation; 1 of 1 inputs were cut to 256 tokens, input_type; the model has no prompt for 'clustering'"
    assert reply.headers["x-hf-warning"] == warnings


def test_an_input_type_in_another_script_is_named_in_ascii(client: Client) -> None:
    """A header holds nothing else."""
    reply = client.post({"texts": TEXTS, "input_type": "검색"}, COHERE)
    assert (reply.status, reply.headers["x-hf-warning"]) == (
        200,
        r"input_type; the model has no prompt for '\uac80\uc0c9'",
    )


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "neither": ({"text": "a"}, 422, "The body must have `inputText`, as Amazon Titan's has, or `texts`, as Cohere's has"),
    "a list": ({"inputText": ["a"]}, 422, "`inputText` must be a string. Given: a list"),
    "empty": ({"inputText": ""}, 400, "`inputText` cannot be empty"),
    "dimensions": ({"inputText": "a", "dimensions": 1024}, 422, "`dimensions` must be between 1 and 384. Given: 1024"),
    "types": ({"inputText": "a", "embeddingTypes": ["binary16"]}, 422, "`embeddingTypes[0]` must be `float`. Given: 'binary16'"),
    "no types": ({"inputText": "a", "embeddingTypes": []}, 422, "`embeddingTypes` must be a list of "),
    "texts": ({"texts": ["a", ""]}, 400, "`texts[1]` cannot be empty"),
    "type": ({"texts": ["a"], "embedding_types": "float"}, 422, "`embedding_types` must be a list of "),
    "input type": ({"texts": ["a"], "input_type": 1}, 422, "`input_type` must be a string. Given: 1"),
    "truncate": (
        {"texts": ["a"], "truncate": "MIDDLE"},
        422,
        "`truncate` must be true or false, `NONE`, `START` or `END`. Given: ",
    ),
    "images": ({"texts": ["a"], "images": ["data:"]}, 422, "`images` cannot be embedded: this model embeds text"),
    "output dimension": ({"texts": ["a"], "output_dimension": 0}, 422, "`dimensions` must be between 1 and 384. Given: 0"),
    "batch": ({"texts": ["a"] * 10_000}, 413, "batch size 10000 > maximum allowed batch size "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_boto3_s_exception_has_bedrock_s_name_and_our_sentence(client: Client, name: str) -> None:
    """boto3 reads `message` and `__type`."""
    fields, status, sentence = REFUSED[name]
    reply = client.post(fields, TITAN)
    parsed = RestJSONParser().parse({"status_code": reply.status, "headers": reply.headers, "body": reply.body}, None)
    assert reply.status == status
    assert parsed["Error"]["Code"] == "ValidationException"
    assert parsed["Error"]["Message"].startswith(sentence)
    assert reply.json["error"] == parsed["Error"]["Message"]


def test_a_key_is_a_bearer_token_and_a_signature_is_none(service: Service) -> None:
    """boto3 sends the token that it finds in AWS_BEARER_TOKEN_BEDROCK; else it signs, which no key of ours can check."""
    client = Client(make_handler(service, load_keys({"API_KEYS": "a-key"})))
    body = json.dumps({"inputText": TEXT}).encode()
    signed = "AWS4-HMAC-SHA256 Credential=AKIA/20261130/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"
    assert client.request("POST", TITAN, body, authorization="Bearer a-key").status == 200
    refused = client.request("POST", TITAN, body, authorization=signed)
    assert (refused.status, refused.json["__type"]) == (401, "AccessDeniedException")
    assert "Authorization" in refused.json["message"]


@pytest.mark.parametrize("fields", [
    {"inputText": TEXT},
    {"inputText": TEXT, "dimensions": 8, "normalize": False, "embeddingTypes": ["float"]},
    {"texts": TEXTS, "input_type": "search_query", "truncate": "END"},
    {"texts": TEXTS, "embedding_types": ["float"]},
])  # fmt: skip
def test_a_plain_invocation_with_bedrock_s_body_gets_the_content_of_the_http_response(
    service: Service, client: Client, fields: dict[str, Any]
) -> None:
    """A call of InvokeModel becomes one of Lambda's Invoke with the same body."""
    found = json.loads(make_handler(service, None)(fields, None))
    expected = client.post(fields, TITAN).json
    assert found.pop("id", "") != expected.pop("id", None)
    assert found == expected


@pytest.mark.parametrize(
    ("name", "kind"), [("empty", Empty), ("a list", Validation), ("types", Validation), ("texts", Empty), ("batch", Validation)]
)
def test_a_plain_invocation_fails_by_an_exception_with_the_same_sentence(
    service: Service, name: str, kind: type[Exception]
) -> None:
    """Step Functions matches its name."""
    fields, _, sentence = REFUSED[name]
    with pytest.raises(kind) as raised:
        make_handler(service, None)(fields, None)
    assert type(raised.value) is kind
    assert str(raised.value).startswith(sentence)
    assert not isinstance(raised.value, TooLarge)


ALB = next(door for door in FRONT_DOORS if door.response_bytes < LAMBDA_BYTES)


def test_a_response_that_might_not_fit_is_refused_before_anything_is_embedded(service: Service) -> None:
    """The texts that come back are counted, too."""
    handle = make_handler(service, None)
    long = '"\\' * 20_000

    def ask(count: int) -> Any:  # noqa: ANN401 - Lambda's reply
        return handle(event("alb", path=COHERE, body=json.dumps({"texts": [long] * count})), None)

    each = len(json.dumps(json.dumps(long)))
    refused, fitting = ask(ALB.response_bytes // each), ask(ALB.response_bytes // each - 1)
    assert (refused["statusCode"], fitting["statusCode"]) == (413, 200)
    assert len(json.dumps(fitting)) <= ALB.response_bytes
