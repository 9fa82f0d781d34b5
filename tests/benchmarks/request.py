"""Measure one warm request from event to JSON, and the share of it that is neither tokenizer nor encoder."""

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from fastapi import FastAPI
from mangum import Mangum
from starlette.middleware.exceptions import ExceptionMiddleware

from handler.cache.vector_cache import VectorCache
from handler.embedding.encoder import Encoder
from handler.embedding.tokenization import Tokenization
from handler.embedding_service import EmbeddingService
from handler.encoding import encode_vectors
from handler.functions.api import handler
from handler.http.feature_extraction import feature_extraction
from handler.http.middleware import RequestMiddleware
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.vectors import ENCODING_FORMATS

from .effort import Effort
from .models import INT8
from .rounds import burst, interleaved
from .steps import Steps, by_step
from .tables import Table

EVENT = Path("events", "http_api_v2.json")
TOKENS = (8, 20, 128, 256)
"""The numbers of tokens; the last is the default model's maximum."""
STEPS_AT = 20
VECTORS = (1, 200)
SPECIAL = 2
WORDS = ("today", "is", "a", "good", "day", "to", "read", "the", "long", "story", "of", "one", "small", "house", "by", "water")
"""Words that are one token each."""
BUDGET_MS = 0.3
KEY = "a-key"
ENVIRONMENT = {"MODEL_DIR": str(INT8), "API_KEYS": KEY, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
"""The handler reads the first two, Lambda's writer of JSON the third."""


def tables(effort: Effort) -> Iterator[Table]:
    """Measure milliseconds of a request and of its parts."""
    os.environ.update(ENVIRONMENT)
    marshaller = LambdaMarshaller()

    def invoke(event: dict[str, Any]) -> str:
        reply: str = marshaller.marshal_response(handler(event, None))[0]
        return reply

    calls: dict[int, list[Steps]] = {}
    for tokens in TOKENS:
        event = _event(tokens)
        reply = json.loads(invoke(event))
        assert reply["statusCode"] == 200, reply
        assert reply["headers"]["x-compute-tokens"] == str(tokens), reply["headers"]
        calls[tokens] = by_step(partial(invoke, event), STEPS, REST, effort.row)
    yield Table(
        "Warm request: milliseconds",
        ["framework: what of a request is neither tokenise nor encode, within each request; its budget is told, not enforced"],
        {"tokens": "d", "request": ".3f", "tokenise": ".3f", "encode": ".3f", "framework": ".3f", "budget": ".1f"},
        [(tokens, *_parts(taken), BUDGET_MS) for tokens, taken in calls.items()],
    )
    steps = {name: statistics.median(call[name] for call in calls[STEPS_AT]) * 1e6 for name in (REST, *STEPS)}
    yield Table(
        f"Warm request of {STEPS_AT} tokens: microseconds by step",
        ["each without the others; about 1 µs a step is the measuring"],
        {"step": "s", "µs": ".0f"},
        [*steps.items(), ("all", sum(steps.values()))],
    )
    yield Table(
        "Encoding: milliseconds for vectors to the bytes of an answer",
        ["384 numbers a vector, normalised"],
        {"vectors": "d", "float": ".3f", "base64": ".3f", "bytes a number": ".1f"},
        [_encoding(count, effort) for count in VECTORS],
    )


def _event(tokens: int) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(EVENT.read_bytes())
    event["body"] = json.dumps({"inputs": text_of(tokens), "use_cache": False})
    event["headers"]["authorization"] = f"Bearer {KEY}"
    return event


TOKENISE, ENCODE, REST = "tokenise", "encode", "Lambda's JSON, and finding the function"
STEPS: dict[str, list[Callable[..., Any]]] = {
    "Mangum: event to scope, event loop, reply": [Mangum.__call__],
    "FastAPI and Starlette: middleware, routing": [FastAPI.__call__, ExceptionMiddleware.__call__],
    "gate: front door, key, failures": [RequestMiddleware.__call__],
    "the request read": [HttpRequest.read],
    "fields to texts and options": [feature_extraction],
    "service: keys, length 1": [EmbeddingService.embed],
    TOKENISE: [Tokenization.tokenize],
    "codec": [VectorCache.encode],
    ENCODE: [Encoder.encode],
    "vectors to JSON": [encode_vectors],
    "response and its headers": [embedding_response],
}
"""By name, in the order in which they begin; a step lasts until the next begins, and goes on when that has ended."""


def _parts(calls: Sequence[Steps]) -> tuple[float, float, float, float]:
    """Return milliseconds of the request, of tokenizer and encoder, and of the rest."""
    parts = [(whole := sum(call.values()), call[TOKENISE], call[ENCODE], whole - call[TOKENISE] - call[ENCODE]) for call in calls]
    request, tokenise, encode, framework = (statistics.median(part) * 1000 for part in zip(*parts, strict=True))
    return request, tokenise, encode, framework


def _encoding(count: int, effort: Effort) -> tuple[int, float, float, float]:
    vectors = np.random.default_rng(7).normal(size=(count, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    turns: dict[str, Callable[[], float]] = {
        name: burst(partial(encode_vectors, vectors, name), effort.burst) for name in ENCODING_FORMATS
    }
    timings = interleaved(turns, effort.row)
    as_numbers, as_base64 = (timings.median(name) * 1000 for name in ENCODING_FORMATS)
    return count, as_numbers, as_base64, len(encode_vectors(vectors, "float")) / vectors.size


def text_of(tokens: int) -> str:
    """Repeat common words until they make so many tokens, with [CLS] and [SEP]."""
    return " ".join(WORDS[place % len(WORDS)] for place in range(tokens - SPECIAL))
