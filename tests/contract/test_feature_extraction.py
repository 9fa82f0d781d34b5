"""Feature extraction by HTTP, through the Lambda handler."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config import KERNELS
from tests.conftest import INT8, Client, ClientOf, Reply

SUNNY = "Today is a sunny day and I will get some ice cream."


def vectors(reply: Reply) -> np.ndarray:
    """Return the vectors of a successful response."""
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/json"
    return np.array(reply.json, dtype=np.float32)


def refused(reply: Reply, status: int, error_type: str, sentence: str) -> None:
    """Check that a response is exactly this error."""
    assert (reply.status, reply.json) == (status, {"error": sentence, "error_type": error_type})
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/", "/embed"])
def test_a_text_is_answered_by_an_array_of_one_vector(client: Client, path: str) -> None:
    """The response to a single text is also an array of arrays, `[[…]]`, of unit vectors."""
    (vector,) = vectors(client.post({"inputs": SUNNY}, path))
    assert vector.shape == (384,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_texts_are_answered_in_their_order(client: Client) -> None:
    """Each text gets one vector, and so does each repeated text."""
    one, two, again = vectors(client.post({"inputs": [SUNNY, "Rain.", SUNNY]}))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)
    assert np.array_equal(two, vectors(client.post({"inputs": "Rain."}))[0])


def test_numbers_are_the_shortest_that_read_back_and_never_look_like_integers(client: Client) -> None:
    """Each number has a point or an exponent, and reads back as the same float32."""
    texts = client.post({"inputs": SUNNY}).body.decode().strip("[]").split(",")
    assert all("." in text or "e" in text for text in texts)
    assert all(float(np.float32(text)) == pytest.approx(float(text), rel=1e-7) for text in texts)
    assert len(texts) == 384
    assert sum(map(len, texts)) < 12 * 384


@pytest.mark.parametrize("body", [f'"{SUNNY}"', f'["{SUNNY}"]'])
def test_a_bare_string_or_list_is_taken_as_inputs(client: Client, body: str) -> None:
    """A client may leave out the object around `inputs`."""
    expected = client.post({"inputs": SUNNY})
    assert client.request("POST", "/", body.encode()).body == expected.body


def test_json_is_taken_under_any_content_type(client: Client) -> None:
    """The content type of `curl -d` is another, and some clients send none."""
    body = json.dumps({"inputs": SUNNY}).encode()
    expected = client.post({"inputs": SUNNY}).body
    assert client.request("POST", "/", body).body == expected
    assert client.request("POST", "/", body, content_type="application/x-www-form-urlencoded").body == expected


def test_options_of_all_three_eras_are_merged_in_order(client: Client) -> None:
    """`parameters` wins over the root, and `options` over both; `inputs` is read from the root only."""
    merged = client.post(
        {
            "inputs": SUNNY,
            "dimensions": 3,
            "normalize": True,
            "parameters": {"dimensions": 4, "normalize": False, "inputs": "no"},
            "options": {"dimensions": 5, "use_cache": True, "wait_for_model": True},
        }
    )
    assert merged.body == client.post({"inputs": SUNNY, "dimensions": 5, "normalize": False}).body


def test_null_stands_for_the_default_and_unknown_fields_are_ignored(client: Client) -> None:
    """Some clients always send every field."""
    names = (
        "normalize",
        "prompt_name",
        "truncate",
        "truncation_direction",
        "dimensions",
        "encoding_format",
        "parameters",
        "options",
    )
    reply = client.post({"inputs": SUNNY, "model": "any", **dict.fromkeys(names)})
    assert reply.body == client.post({"inputs": SUNNY}).body


def test_without_normalize_the_vector_has_the_length_the_model_gave_it(client: Client) -> None:
    """The normalized vector is the same vector divided by its length."""
    (raw,) = vectors(client.post({"inputs": SUNNY, "normalize": False}))
    (unit,) = vectors(client.post({"inputs": SUNNY}))
    assert np.linalg.norm(raw) > 1.5
    np.testing.assert_allclose(raw / np.linalg.norm(raw), unit, atol=1e-7)


@given(dimensions=st.integers(1, 384))
def test_dimensions_cut_first_and_normalise_then(client: Client, dimensions: int) -> None:
    """The first dimensions are kept, and the vector then has the length 1."""
    (raw,) = vectors(client.post({"inputs": SUNNY, "normalize": False}))
    (cut,) = vectors(client.post({"inputs": SUNNY, "dimensions": dimensions}))
    expected = raw[:dimensions] / np.linalg.norm(raw[:dimensions])
    np.testing.assert_allclose(cut, expected, atol=1e-7)


def test_base64_carries_the_same_float32_as_the_numbers(client: Client) -> None:
    """There is one string of little-endian numbers for each text."""
    (encoded,) = client.post({"inputs": SUNNY, "encoding_format": "base64"}).json
    expected = vectors(client.post({"inputs": SUNNY}))[0]
    assert np.array_equal(np.frombuffer(base64.b64decode(encoded), "<f4"), expected)


def test_a_text_over_the_limit_is_truncated_with_a_warning(client: Client) -> None:
    """X-HF-Warning says how many texts and to how many tokens; x-compute-tokens counts the tokens that were embedded."""
    reply = client.post({"inputs": ["word " * 300, "short"]})
    assert reply.headers["x-hf-warning"] == "truncation; 1 of 2 inputs were cut to 256 tokens"
    assert reply.headers["x-compute-tokens"] == str(256 + 3)
    assert "x-hf-warning" not in client.post({"inputs": "short"}).headers


def test_the_direction_decides_which_end_is_truncated(client: Client) -> None:
    """`Left` keeps the end of the text; upper and lower case are the same."""
    text = "first " * 300 + "last " * 300
    right, upper, left, lower = (
        client.post({"inputs": text, "truncation_direction": direction}).body for direction in ("right", "Right", "Left", "left")
    )
    assert right == upper == client.post({"inputs": text}).body
    assert left == lower
    assert left != right


def test_a_text_over_the_limit_is_refused_without_truncation(client: Client) -> None:
    """The sentence has the limit and the number of tokens, in the words of text-embeddings-inference."""
    reply = client.post({"inputs": "word " * 298, "truncate": False})
    refused(reply, 422, "Validation", "Input validation error: `inputs` must have less than 256 tokens. Given: 300")
    assert client.post({"inputs": "word " * 254, "truncate": False}).status == 200


def test_the_deployment_decides_about_truncation_if_the_request_does_not(client_of: ClientOf) -> None:
    """AUTO_TRUNCATE=false refuses long texts, unless the request says otherwise."""
    strict = client_of(INT8, AUTO_TRUNCATE="false")
    assert strict.post({"inputs": "word " * 300}).status == 422
    assert strict.post({"inputs": "word " * 300, "truncate": True}).status == 200
    assert strict.get("/info").json["auto_truncate"] is False


def test_headers_count_tokens_characters_and_milliseconds(client: Client) -> None:
    """Durations are whole milliseconds."""
    headers = client.post({"inputs": [SUNNY, "ä"]}).headers
    assert headers["x-compute-type"] == "cpu"
    assert headers["x-compute-characters"] == str(len(SUNNY) + 1)
    assert headers["x-compute-tokens"] == str(15 + 3)
    times = [int(headers[f"x-{name}-time"]) for name in ("compute", "total", "tokenization", "inference")]
    assert all(0 <= time <= times[1] for time in times)


EMPTY = "`inputs` cannot be empty"
KNOWN = "`prompt_name` is not one of this model's prompts: none. Given: "


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [("", EMPTY), ([], EMPTY), ([""], EMPTY), (["a", "", "b", ""], "`inputs[1]` cannot be empty")],
)
def test_an_empty_input_is_refused_by_its_index(client: Client, inputs: object, sentence: str) -> None:
    """The response is 400 Empty."""
    refused(client.post({"inputs": inputs}), 400, "Empty", sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "`inputs` must be a string or a list of strings. It is missing"),
        ({"inputs": None}, "`inputs` must be a string or a list of strings. Given: null"),
        ({"inputs": {"a": 1}}, "`inputs` must be a string or a list of strings. Given: an object"),
        ({"inputs": ["a", 3]}, "`inputs[1]` must be a string. Given: a number"),
        ({"inputs": [["a"]]}, "`inputs[0]` must be a string. Given: a list"),
        ({"inputs": "a", "normalize": "yes"}, "`normalize` must be true or false. Given: 'yes'"),
        ({"inputs": "a", "normalize": 1}, "`normalize` must be true or false. Given: 1"),
        ({"inputs": "a", "truncate": []}, "`truncate` must be true or false, `NONE`, `START` or `END`. Given: a list"),
        ({"inputs": "a", "truncation_direction": "up"}, "`truncation_direction` must be `right` or `left`. Given: 'up'"),
        ({"inputs": "a", "prompt_name": 1}, "`prompt_name` must be a string. Given: 1"),
        ({"inputs": "a", "prompt_name": "query"}, "`prompt_name` is not one of this model's prompts: none. Given: 'query'"),
        ({"inputs": "a", "dimensions": 1.5}, "`dimensions` must be a whole number. Given: 1.5"),
        ({"inputs": "a", "dimensions": 10**20}, "`dimensions` must be a whole number. Given: a number"),
        ({"inputs": "a", "prompt_name": "the user's own words"}, KNOWN + "a string of 20 characters"),
        ({"inputs": "a", "parameters": []}, "`parameters` must be an object. Given: a list"),
        ({"inputs": "a", "dimensions": True}, "`dimensions` must be a whole number. Given: a boolean"),
        ({"inputs": "a", "dimensions": 0}, "`dimensions` must be between 1 and 384. Given: 0"),
        ({"inputs": "a", "dimensions": 385}, "`dimensions` must be between 1 and 384. Given: 385"),
        ({"inputs": "a", "encoding_format": "hex"}, "`encoding_format` must be `float` or `base64`. Given: 'hex'"),
        ({"inputs": "a", "parameters": 3}, "`parameters` must be an object. Given: 3"),
        (3, 'The body must be an object like {"inputs": "a text"}, a string or a list of strings'),
        (None, 'The body must be an object like {"inputs": "a text"}, a string or a list of strings'),
    ],
)
def test_a_wrong_field_is_named_with_what_it_must_be(client: Client, fields: object, sentence: str) -> None:
    """The response is 422 Validation."""
    refused(client.post(fields), 422, "Validation", sentence)


def test_half_of_a_surrogate_pair_is_refused_with_the_index_of_its_text(client: Client) -> None:
    """It is valid JSON but not text, so the response is 422 Tokenizer, whatever the content type."""
    sentence = "`inputs[1]` is not valid Unicode: it holds the lone surrogate U+D800 at position 2"
    for headers in ({}, {"content_type": "application/json"}):
        refused(client.request("POST", "/", rb'{"inputs": ["fine", "ab\ud800"]}', **headers), 422, "Tokenizer", sentence)
    assert client.request("POST", "/", rb'{"inputs": "\ud800", "x": NaN}', content_type="application/json").status == 400


def test_a_batch_over_the_limit_is_refused(client: Client, client_of: ClientOf) -> None:
    """Some clients halve their batches on 413."""
    sentence = "batch size 2049 > maximum allowed batch size 2048"
    refused(client.post({"inputs": ["a"] * 2049}), 413, "Validation", sentence)
    small = client_of(INT8, MAX_CLIENT_BATCH_SIZE="2")
    refused(small.post({"inputs": ["a"] * 3}), 413, "Validation", "batch size 3 > maximum allowed batch size 2")
    refused(client.post({"inputs": ["a"] * 5000}), 413, "Validation", "batch size 5000 > maximum allowed batch size 2048")
    assert len(client.post({"inputs": ["a"] * 2048, "dimensions": 64}).json) == 2048


def test_a_body_that_is_not_json_is_refused_with_the_position(client: Client) -> None:
    """The status is 400 if the content type is JSON or missing, and 415 if it is another."""
    broken = b'{"inputs": '
    for headers in ({}, {"content_type": "application/json"}):
        reply = client.request("POST", "/", broken, **headers)
        assert (reply.status, reply.json["error_type"]) == (400, "Validation")
        assert reply.json["error"].startswith("The body is not valid JSON: ")
    reply = client.request("POST", "/", b"some text", content_type="text/plain")
    reason = "unexpected character, expected a JSON value: line 1 column 1 (char 0)"
    sentence = f"The body is not JSON ({reason}), nor does it say it is: its content type is text/plain"
    refused(reply, 415, "Validation", sentence)
    refused(client.request("POST", "/"), 400, "Validation", "The body is not valid JSON: it is empty")


def test_an_unknown_path_and_a_wrong_method_are_json_too(client: Client) -> None:
    """404 names the path; 405 names the allowed methods, also in its header."""
    refused(client.get("/nothing"), 404, "Validation", "There is nothing at /nothing")
    reply = client.request("DELETE", "/embed")
    refused(reply, 405, "Validation", "DELETE is not allowed on /embed; allowed: POST")
    assert reply.headers["allow"] == "POST"
    assert client.request("PUT", "/").headers["allow"] == "POST, GET, HEAD"
    for path, status in (("/nothing", 404), ("/embed", 405)):
        assert (client.request("HEAD", path).status, client.request("HEAD", path).body) == (status, b"")


def test_health_is_an_empty_object(client: Client) -> None:
    """The path / has it too, and a response to HEAD has no body."""
    for path in ("/", "/health"):
        assert (client.get(path).status, client.get(path).json) == (200, {})
        assert (client.request("HEAD", path).status, client.request("HEAD", path).body) == (200, b"")


def test_info_describes_the_model_and_its_limits(client: Client) -> None:
    """Clients of text-embeddings-inference read these names."""
    info = client.get("/info").json
    assert info.pop("version")
    assert info.pop("kernels") in KERNELS
    assert info == {
        "rerank": "similarity",
        "search": False,
        "model_id": "sentence-transformers/all-MiniLM-L6-v2",
        "model_sha": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        "model_dtype": "int8",
        "model_type": {"embedding": {"pooling": "mean"}},
        "max_input_length": 256,
        "max_client_batch_size": 2048,
        "max_batch_tokens": 524288,
        **dict.fromkeys(("max_concurrent_requests", "max_batch_requests", "tokenization_workers", "sha", "docker_label")),
        "auto_truncate": True,
        "prompts": {},
        "output_dtypes": ["float32", "int8", "uint8", "binary", "ubinary"],
        "int8_dimensions": [384],
        "output_dtype": "float32",
    }
