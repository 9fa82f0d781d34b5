"""OpenAI's dialect under the base URLs that its clients are given, and Azure's deployments."""

import json
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from events import http_api
from tests.conftest import Client

SERVED = "sentence-transformers/all-MiniLM-L6-v2"
BASES = ("/v1", "/api/v1", "/openai/v1", "/openai", "")
DEPLOYMENTS = (
    "/openai/deployments/my-deployment/embeddings",
    "/openai/deployments/an/organisation/embeddings",
    "/openai/deployments/an%2Forganisation/embeddings",
    "/deployments/text-embedding-3-small/embeddings",
    "/models/embeddings",
)


@pytest.mark.parametrize("path", [*(f"{base}/embeddings" for base in BASES), *DEPLOYMENTS])
def test_openai_s_embeddings_are_served_under_every_base(client: Client, path: str) -> None:
    """Neither the model in the body nor the deployment's name has to be the model that is served."""
    expected = np.array(client.post({"inputs": ["hello"]}).json, np.float32)
    reply = client.post({"input": "hello", "model": "no-such-model"}, path)
    assert reply.status == 200, reply.body
    assert np.array_equal(np.array([reply.json["data"][0]["embedding"]], np.float32), expected)
    assert reply.json["model"] == SERVED
    wrong = client.post({"input": ""}, path)
    assert (wrong.status, wrong.json["error"]["message"]) == (400, "`input` cannot be empty")
    assert client.get(path).json["message"].startswith("GET is not allowed on ")


def test_the_version_in_azure_s_query_is_ignored(client: Client) -> None:
    """Azure's clients send one with every request."""
    body = json.dumps({"input": "hello"}).encode()
    request = http_api.Request("POST", "/openai/deployments/d/embeddings", "api-version=2024-10-21", [], body, "127.0.0.1", 443)
    assert client.reply(http_api.make_event(request, received=datetime.now(UTC), request_id=UUID(int=7))).status == 200


def test_every_response_has_an_id_of_its_own(client: Client) -> None:
    """Mistral's client requires one."""
    ids = [client.post({"input": "hello"}, "/v1/embeddings").json["id"] for _ in range(2)]
    assert all(one.startswith("embd-") for one in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize("base", BASES)
def test_the_model_is_listed_under_every_base(client: Client, base: str) -> None:
    """The list has one model."""
    reply = client.get(f"{base}/models").json
    assert (reply["object"], [model["id"] for model in reply["data"]]) == ("list", [SERVED])


@pytest.mark.parametrize("base", BASES[:-1])
@pytest.mark.parametrize("name", [SERVED, SERVED.replace("/", "%2F"), "all-MiniLM-L6-v2", "ALL-minilm-l6-V2"])
def test_the_model_is_described_by_its_id_or_its_short_name(client: Client, base: str, name: str) -> None:
    """A slash in the id may be encoded. The description is the one of the list."""
    assert client.get(f"{base}/models/{name}").json == client.get("/v1/models").json["data"][0]


def test_another_model_has_no_description(client: Client) -> None:
    """The error has OpenAI's form, and names both models."""
    reply = client.get("/v1/models/text-embedding-3-small")
    assert (reply.status, reply.json["error"]["message"]) == (404, f"This endpoint serves {SERVED}, not text-embedding-3-small")


@pytest.mark.parametrize(
    ("truncate", "same"),
    [
        ("END", {"truncate": True}),
        ("START", {"truncate": True, "truncation_direction": "left"}),
        ("start", {"truncate": True, "truncation_direction": "left"}),
    ],
)
@pytest.mark.parametrize("path", ["/", "/v1/embeddings"])
def test_truncate_may_name_the_end(client: Client, path: str, truncate: str, same: dict[str, object]) -> None:
    """NVIDIA's and Cohere's clients send names. A name that says an end wins over `truncation_direction`."""
    text = " ".join(str(number) for number in range(400))
    name = "inputs" if path == "/" else "input"

    def vector(**options: object) -> list[float]:
        content = client.post({name: text, **options}, path).json
        found: list[float] = content[0] if path == "/" else content["data"][0]["embedding"]
        return found

    assert vector(truncate=truncate) == vector(**same)
    assert vector(truncate=truncate, truncation_direction="left") == vector(**same)
    assert client.post({name: text, "truncate": "NONE"}, path).status == 422


@pytest.mark.parametrize("truncate", ["MIDDLE", "", "true", 1, [], {}])
def test_another_value_of_truncate_is_refused(client: Client, truncate: object) -> None:
    """The sentence has the choices."""
    status, kind, sentence = client.post({"inputs": "a", "truncate": truncate}).error
    assert (status, kind) == (422, "Validation")
    assert sentence.startswith("`truncate` must be true or false, `NONE`, `START` or `END`. Given: ")
