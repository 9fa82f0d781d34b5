"""One request, as a dialect sees it: its body read once, and what bounds the answer."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson
from fastapi import Request

from handler.doors import LAMBDA_BYTES, FrontDoor, remaining_ms
from handler.errors import Malformed, TooLarge, Validation, shown
from handler.gunzip import GzipError, gunzip
from handler.http.errors import NotFound, UnsupportedMediaType
from handler.service import Embeddings, Options, Service, check_batch
from handler.vectors import Vectors

INFLATED_BYTES = LAMBDA_BYTES
"""The most that a compressed body may become: what Lambda would have carried uncompressed."""
STEP_BYTES = 1 << 20
"""Decompressed at a time."""

FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a dialect. `started_ns` and `deadline` are readings of the monotonic clock, in ns and in seconds."""

    headers: Mapping[str, str]
    path_params: Mapping[str, str]
    body: bytes
    service: Service
    door: FrontDoor
    started_ns: int
    deadline: float
    figures: dict[str, int]
    """What the log tells of the request; the dialect's answer fills it in."""

    @classmethod
    async def of(cls, request: Request, service: Service) -> Self:
        """Read a request whole."""
        scope = request.scope
        door: FrontDoor = scope["door"]
        return cls(
            headers=request.headers,
            path_params=request.path_params,
            body=await request.body(),
            service=service,
            door=door,
            started_ns=time.perf_counter_ns(),
            figures=scope.setdefault("figures", {}),
            deadline=door.deadline(scope.get("aws.event", {}), remaining_ms(scope.get("aws.context"))),
        )

    def check(self, count: int, bytes_each: int, what: str = "inputs") -> None:
        """Refuse, before anything is computed, more inputs than the deployment takes, or than can be answered through the door.

        Raises:
            TooLarge: with the limit.
        """
        check_batch(self.service, count)
        self.door.check_response(count, bytes_each, what)

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The body as JSON, whatever content type it says it has.

        Raises:
            Malformed: it is not JSON.
            UnsupportedMediaType: it is not JSON and does not say it is, or is compressed in another way than gzip.
            TooLarge: it is more than its front door carries, or than it may inflate to.
        """
        self.door.check_request(len(self.body))
        body = self._inflated()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            if "surrogate" in str(error):
                return _with_surrogates(body)
            reason = str(error) if body else "it is empty"
        content_type = self.headers.get("content-type")
        if body and content_type and "json" not in content_type.lower():
            msg = f"The body is not JSON ({reason}), nor does it say it is: its content type is {content_type[:100]}"
            raise UnsupportedMediaType(msg)
        msg = f"The body is not valid JSON: {reason}"
        raise Malformed(msg)

    def fields(self) -> dict[str, Any]:
        """The body as an object.

        Raises:
            Validation: it is JSON, but no object; and as `json`.
        """
        body = self.json()
        if not isinstance(body, dict):
            msg = "The body must be a JSON object"
            raise Validation(msg)
        return body

    def check_model(self) -> None:
        """Compare the model in the path, if there is one, with the one served; its organisation may be left out.

        Raises:
            NotFound: it is another one.
        """
        served, asked = self.service.manifest.model_id, self.path_params.get("model")
        if asked is not None and asked.lower() not in {served.lower(), served.rpartition("/")[2].lower()}:
            msg = f"This endpoint serves {served}, not {asked[:100]}"
            raise NotFound(msg)

    def embed(self, texts: Sequence[str], options: Options) -> Embeddings[Vectors]:
        """Embed before the deadline, and without the cache if the header `x-use-cache` says so too.

        Raises:
            EmbeddingError: as Service.embed.
        """
        cached = self.headers.get("x-use-cache", "true").strip().lower() not in FALSE
        return self.service.embed(texts, replace(options, use_cache=options.use_cache and cached), self.deadline)

    def _inflated(self) -> bytes:
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            return self.body
        if encoding not in GZIP:
            msg = f"The body's content-encoding must be gzip or identity. Given: {shown(encoding)}"
            raise UnsupportedMediaType(msg)
        return _gunzipped(self.body) if self.body else b""


GZIP = frozenset({"gzip", "x-gzip"})


def _gunzipped(packed: bytes) -> bytes:
    body = bytearray()
    try:
        for content in gunzip([packed], STEP_BYTES):
            body += content
            if len(body) > INFLATED_BYTES:
                msg = f"the body inflates to more than {INFLATED_BYTES} bytes"
                raise TooLarge(msg)
    except GzipError:
        raise Malformed(NOT_GZIP) from None
    return bytes(body)


NOT_GZIP = "The body says it is gzip, and is not, or not whole"


def _with_surrogates(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """JSON that escapes half a character, which is valid JSON: the tokenizer refuses it by the index of its text.

    Raises:
        Malformed: it is no JSON for another reason.
    """
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        msg = "The body is not valid JSON"
        raise Malformed(msg) from None


def _no_constant(name: str) -> None:
    raise ValueError(name)
