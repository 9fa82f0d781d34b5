"""One warm request: HTTP API event in, JSON of the reply out, and how much of it is neither tokenizer nor encoder."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from handler.functions.api import handler
from handler.http.encoding import encode_vectors
from handler.parsing import ENCODING_FORMATS

from .effort import Effort
from .machine import cores
from .models import INT8, ours, tokenization
from .rounds import burst, interleaved
from .tables import Table

EVENT = Path("events", "http_api_v2.json")
TOKENS = (8, 20, 128)
VECTORS = (1, 200)
SPECIAL = 2
WORDS = ("today", "is", "a", "good", "day", "to", "read", "the", "long", "story", "of", "one", "small", "house", "by", "water")
"""Each is one token."""
BUDGET_MS = 0.3
KEY = "a-key"
ENVIRONMENT = {"MODEL_DIR": str(INT8), "API_KEYS": KEY, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
"""The handler reads the first two, Lambda's writer of JSON the third."""


def tables(effort: Effort) -> Iterator[Table]:
    """Milliseconds of a request and of its parts."""
    os.environ.update(ENVIRONMENT)
    marshaller, words, encoder = LambdaMarshaller(), tokenization(), ours(INT8, cores())

    def invoke(event: dict[str, Any]) -> str:
        reply: str = marshaller.marshal_response(handler(event, None))[0]
        return reply

    rows = []
    for tokens in TOKENS:
        text = text_of(tokens)
        event = json.loads(EVENT.read_bytes()) | {"body": json.dumps({"inputs": text, "use_cache": False})}
        event["headers"]["authorization"] = f"Bearer {KEY}"
        ids = [found.ids for found in words.tokenize([text], "right")]
        assert len(ids[0]) == tokens, f"{text!r} has {len(ids[0])} tokens, not {tokens}"
        assert json.loads(invoke(event))["statusCode"] == 200
        turns = {
            "request": burst(partial(invoke, event), effort.burst),
            "tokenise": burst(partial(words.tokenize, [text], "right"), effort.burst),
            "encode": burst(partial(encoder.encode, ids), effort.burst),
        }
        timings = interleaved(turns, effort.row)
        seconds = [*map(timings.median, turns), timings.rest("request", "tokenise", "encode")]
        rows.append((tokens, *(part * 1000 for part in seconds), BUDGET_MS))
    yield Table(
        "Warm request: milliseconds",
        ["framework: what of a request is neither tokenise nor encode, median over rounds; its budget is told, not enforced"],
        {"tokens": "d", "request": ".3f", "tokenise": ".3f", "encode": ".3f", "framework": ".3f", "budget": ".1f"},
        rows,
    )
    yield Table(
        "Encoding: milliseconds for vectors to the bytes of an answer",
        ["384 numbers a vector, normalised"],
        {"vectors": "d", "float": ".3f", "base64": ".3f", "bytes a number": ".1f"},
        [_encoding(count, effort) for count in VECTORS],
    )


def _encoding(count: int, effort: Effort) -> tuple[int, float, float, float]:
    vectors = np.random.default_rng(7).normal(size=(count, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    turns = {name: burst(partial(encode_vectors, vectors, name), effort.burst) for name in ENCODING_FORMATS}
    timings = interleaved(turns, effort.row)
    as_numbers, as_base64 = (timings.median(name) * 1000 for name in ENCODING_FORMATS)
    return count, as_numbers, as_base64, len(encode_vectors(vectors, "float")) / vectors.size


def text_of(tokens: int) -> str:
    """Common words, over and over, that make so many tokens with [CLS] and [SEP]."""
    return " ".join(WORDS[place % len(WORDS)] for place in range(tokens - SPECIAL))
