"""Generates requests that no well-meaning client sends, and checks what must hold for every response."""

import base64
import gzip
import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from handler.http.errors import BODIES
from tests.conftest import Client, Reply
from tests.contract.example_requests import PATHS, event

STATUSES = frozenset({200, 204, 400, 401, 404, 405, 413, 415, 422, 424})
LONGEST_INTEGER = 10 ** (sys.get_int_max_str_digits() - 1)
"""The longest number that Python's JSON reads; with one more digit it refuses to write it."""
NASTY_TEXTS = (
    "",
    " ",
    "\x00",
    "\x00\x01\x02\x1f\x7f",
    "\u202eright to left\u202c",
    "e\u0301\u0327" * 50,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\ufffe\uffff",
    "[CLS] [SEP] [MASK] [PAD]",
    "'; DROP TABLE vectors; --",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} %s %n",
    "a" * 5_000,
    "한" * 3_000,
    "https://example.com/" * 30,
    "\n" * 1_000,
    "\ud800",
    "ab\udfff",
    "!" * 20_000,
    "漢" * 20_000,
)
NASTY_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    384,
    385,
    2**31,
    2**63,
    2**64,
    10**400,
    LONGEST_INTEGER,
    -LONGEST_INTEGER,
    1.5,
    -0.0,
    1e308,
    "",
    "left",
    "Left",
    "x" * 300,
    [],
    {},
    [[]],
    {"": None},
    [None],
    {"inputs": "a"},
)
FIELDS = (
    "inputs",
    "input",
    "normalize",
    "prompt_name",
    "truncate",
    "truncation_direction",
    "dimensions",
    "encoding_format",
    "parameters",
    "options",
    "source_sentence",
    "sentences",
    "add_special_tokens",
    "ids",
    "skip_special_tokens",
    "model",
    "user",
    "prompt",
    "query",
    "texts",
    "documents",
    "top_n",
    "return_documents",
    "inputText",
    "embeddingTypes",
    "embedding_types",
    "input_type",
    "__proto__",
    "\x00",
)
RAW_BODIES = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"null",
    b"NaN",
    b"[NaN]",
    b'{"inputs": NaN}',
    b'{"inputs": "a"',
    b'{"inputs": "\\ud800"}',
    b"'a'",
    b'{"inputs": "a", "inputs": ["b", ""]}',
    b'{"inputs": "a", "dimensions": 1e999}',
    b'{"inputs": "a", "dimensions": 0x10}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'["' + b"\\u0000" * 1000 + b'"]',
    b"\xef\xbb\xbf{}",
    b'{"inputs": "a"}garbage',
    b"1" * 100_000,
    b'{"inputs": "\xed\xa0\x80"}',
    b'{"inputs": "a", "parameters": {"parameters": {"parameters": 1}}}',
    b'{"inputs": "a", "user": "\\ud800", "dimensions": ' + b"9" * 4_300 + b"}",
    b'{"inputs": "a", "user": "\\ud800", "dimensions": ' + b"9" * 4_301 + b"}",
    b'{"user": "\\ud800", "input": [' + b"9" * 4_300 + b"]}",
    b'{"inputs": ["a", "a", "a", "\\ud800"]}',
    b'{"inputs": "a", "user": "\\ud800", "dimensions": -1e999}',
)
HOSTS = ("[", "[::1", "a]:b", "a:b:c", "", "\x00", "a/b?c#d@e", "h" * 9_000)
"""Values of the Host header that cannot be part of a URL."""
MORE_PATHS = (
    "/v1/embeddings",
    "/embeddings",
    "/similarity",
    "/embed_all",
    "/tokenize",
    "/decode",
    "/openai/deployments/a/b/embeddings",
    "/v1/models/a/b",
    "/predict",
    "/rerank",
    "/v1/rerank",
    "/v2/rerank",
    "/api/embed",
    "/api/embeddings",
    "/api/tags",
    "/model/amazon.titan-embed-text-v2:0/invoke",
    "/info",
    "/health",
    "/v1/models",
    "/nothing",
    "/%00",
    "/../../etc/passwd",
    "//",
    "/models/" + "x" * 2000,
    "/models/%ff",
    "/docs",
    "/docs/nothing",
    "/try",
    "/openapi.json",
    "/pipeline/feature-extraction/",
)
METHODS = ("POST", "POST", "POST", "POST", "POST", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW")
CONTENT_TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "multipart/form-data",
    "",
    "\x7f",
    "a/b" * 300,
)


def value(generator: random.Random, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Generate a value of any type, sometimes a nested one."""
    kind = generator.random()
    if kind < 0.4 or depth > 4:
        return generator.choice(NASTY_TEXTS)
    if kind < 0.75:
        return generator.choice(NASTY_VALUES)
    if kind < 0.9:
        return [value(generator, depth + 1) for _ in range(generator.choice([0, 1, 2, 3, 2100 if depth == 0 else 1]))]
    return {generator.choice(FIELDS): value(generator, depth + 1) for _ in range(3)}


def body(generator: random.Random) -> bytes:
    """Generate a body: a hostile one, or an object of fields with hostile values."""
    if generator.random() < 0.2:
        return generator.choice(RAW_BODIES)
    fields: dict[str, Any] = {"inputs": generator.choice(NASTY_TEXTS)} if generator.random() < 0.6 else {}
    fields |= {generator.choice(FIELDS): value(generator) for _ in range(generator.randrange(4))}
    return json.dumps(fields).encode()


def by_http(client: Client, generator: random.Random) -> Reply:
    """Send one request in a well-formed event of an HTTP API."""
    headers = {"content_type": generator.choice(CONTENT_TYPES)}
    if generator.random() < 0.2:
        headers["host"] = generator.choice(HOSTS)
    if generator.random() < 0.1:
        headers["content_encoding"] = generator.choice(["gzip", "br", "identity", "x"])
    if generator.random() < 0.1:
        headers["accept_encoding"] = generator.choice(["gzip", "*", "gzip;q=0", "\x00"])
    sent = body(generator)
    if generator.random() < 0.05:
        headers["content_encoding"] = "gzip"
        sent = b"".join(gzip.compress(part) for part in (b"", sent[:3], b"", sent[3:], b""))
    return client.request(generator.choice(METHODS), path_of(generator), sent, **headers)


def path_of(generator: random.Random) -> str:
    """Generate a path, known or unknown."""
    return generator.choice(PATHS if generator.random() < 0.6 else MORE_PATHS)


def by_event(client: Client, generator: random.Random) -> Reply:
    """Send one request in an event of any front door in which one part is damaged."""
    made = event(generator.choice(["http_api_v2", "rest_v1", "function_url", "alb"]))
    made["body"] = body(generator).decode("latin-1")
    if generator.random() < 0.3:
        made |= {"body": base64.b64encode(made["body"].encode()).decode()[generator.randrange(3) :], "isBase64Encoded": True}
    if generator.random() < 0.6:
        path = path_of(generator)
        made |= {"path": path, "rawPath": path, "pathParameters": {"proxy": path[1:]}}
        if "http" in made["requestContext"]:
            made["requestContext"]["http"] |= {"path": path, "method": generator.choice(METHODS)}
    spoiled: dict[str, str] = generator.choice(
        [{}, {"host": generator.choice(HOSTS)}, {"x-forwarded-port": "-"}, {"cookie": "\x00"}, {"accept": "x" * 9000}]
    )
    made["headers"] |= spoiled
    if "multiValueHeaders" in made:
        made["multiValueHeaders"] = {name: [value] * generator.choice([1, 1, 2]) for name, value in made["headers"].items()}
    return client.reply(made)


KINDS: tuple[Callable[[Client, random.Random], Reply], ...] = (by_http, by_http, by_http, by_event)


def requests(client: Client, seed: int, count: int) -> Iterator[Reply]:
    """Yield the responses to `count` requests, which are the same for the same seed."""
    generator = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        yield generator.choice(KINDS)(client, generator)


def check(reply: Reply) -> None:
    """Check that a response has a status of the contract, and that an error has the contract's shape."""
    assert reply.status in STATUSES, (reply.status, reply.body[:300])
    if reply.status >= 400 and reply.body:
        assert reply.headers["content-type"] == "application/json"
        content = reply.json
        assert content.keys() in [body(400, "Validation", "why").keys() for body in BODIES.values()]
        told = content["error"]
        sentence = told["message"] if isinstance(told, dict) else told
        assert 0 < len(sentence) < 600, sentence
        assert "Traceback" not in sentence
