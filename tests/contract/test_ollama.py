"""Ollama's dialect."""

from typing import Any

import numpy as np
import pytest

from handler import VERSION
from handler.service import Service
from tests.conftest import Client

TEXT = "Today is a sunny day and I will get some ice cream."
TEXTS = [TEXT, "It rained all morning."]
SERVED = "sentence-transformers/all-MiniLM-L6-v2"
IGNORED = {"options": {"temperature": 0, "num_ctx": 4}, "keep_alive": "5m", "model": "nomic-embed-text"}


def rows(client: Client, texts: list[str], **options: object) -> np.ndarray:
    """Return the vectors of texts."""
    return np.array(client.post({"inputs": texts, **options}).json, np.float32)


@pytest.mark.parametrize(("given", "texts"), [(TEXT, [TEXT]), (TEXTS, TEXTS)])
def test_texts_get_vectors_with_durations_and_a_count_of_tokens(client: Client, given: object, texts: list[str]) -> None:
    """One text gets a list of one vector. Model options and `keep_alive` mean nothing here."""
    reply = client.post({"input": given, **IGNORED}, "/api/embed")
    content = reply.json
    assert content.keys() == {"model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"}
    assert np.array_equal(np.array(content["embeddings"], np.float32), rows(client, texts))
    assert (content["model"], content["load_duration"]) == (SERVED, 0)
    assert content["prompt_eval_count"] == int(reply.headers["x-compute-tokens"]) == {1: 15, 2: 22}[len(texts)]
    assert content["total_duration"] > 0


def test_dimensions_and_truncation_are_those_of_every_dialect(client: Client) -> None:
    """A text that is too long is truncated, unless the request forbids it."""
    long = "word " * 300
    found = client.post({"input": TEXTS, "dimensions": 16}, "/api/embed").json["embeddings"]
    assert np.array_equal(np.array(found, np.float32), rows(client, TEXTS, dimensions=16))
    reply = client.post({"input": long, "truncate": True}, "/api/embed")
    assert reply.headers["x-hf-warning"] == "truncation; 1 of 1 inputs were cut to 256 tokens"
    sentence = "Input validation error: `input` must have less than 256 tokens. Given: 302"
    assert client.post({"input": long, "truncate": False}, "/api/embed").error == (422, "Validation", sentence)


def test_older_clients_get_one_vector_of_one_prompt(client: Client) -> None:
    """The response has nothing else."""
    reply = client.post({"prompt": TEXT, **IGNORED}, "/api/embeddings").json
    assert reply.keys() == {"embedding"}
    assert np.array_equal(np.array(reply["embedding"], np.float32), rows(client, [TEXT])[0])


@pytest.mark.parametrize(
    ("path", "fields", "failure"),
    [
        ("/api/embed", {}, (422, "Validation", "`input` must be a string or a list of strings. It is missing")),
        ("/api/embed", {"input": ""}, (400, "Empty", "`input` cannot be empty")),
        ("/api/embed", {"input": ["a", 1]}, (422, "Validation", "`input[1]` must be a string. Given: a number")),
        ("/api/embed", {"input": "a", "dimensions": 0}, (422, "Validation", "`dimensions` must be between 1 and 384. Given: 0")),
        ("/api/embeddings", {"input": "a"}, (422, "Validation", "`prompt` must be a string. It is missing")),
        ("/api/embeddings", {"prompt": ["a"]}, (422, "Validation", "`prompt` must be a string. Given: a list")),
        ("/api/embeddings", {"prompt": ""}, (400, "Empty", "`prompt` cannot be empty")),
        ("/api/generate", {"prompt": "a"}, (404, "Validation", "There is nothing at /api/generate")),
    ],
)
def test_the_sentence_of_a_failure_is_where_ollama_s_clients_read_it(
    client: Client, path: str, fields: object, failure: tuple[Any, ...]
) -> None:
    """They read `error`."""
    assert client.post(fields, path).error == failure


def test_more_texts_than_a_batch_may_have_are_refused(client: Client, service: Service) -> None:
    """The limit is that of every dialect."""
    limit = service.settings.max_client_batch_size
    sentence = f"batch size {limit + 1} > maximum allowed batch size {limit}"
    assert client.post({"input": ["a"] * (limit + 1)}, "/api/embed").error == (413, "Validation", sentence)


def test_the_model_is_listed_as_ollama_lists_it(client: Client, service: Service) -> None:
    """Clients look for the name that they were given before they embed."""
    (model,) = client.get("/api/tags").json["models"]
    assert (model["name"], model["model"], model["digest"]) == (SERVED, SERVED, service.manifest.digest)
    assert model["details"]["quantization_level"] == "int8"


def test_the_version_is_that_of_the_endpoint(client: Client) -> None:
    """Clients of Ollama show it."""
    assert client.get("/api/version").json == {"version": VERSION}
