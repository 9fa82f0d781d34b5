"""The HTTP request that a dialect gets: headers, body, and the limits of its response."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson
from fastapi import Request

from handler.doors import LAMBDA_BYTES, FrontDoor, remaining_ms
from handler.errors import Malformed, TooLarge, Validation, shown
from handler.gunzip import GzipError, gunzip
from handler.http.errors import NotFound, UnsupportedMediaType
from handler.parsing import EmbeddingRequest, embedding_request
from handler.service import Embeddings, Options, Service
from handler.vectors import Vectors

INFLATED_BYTES = LAMBDA_BYTES
"""The most bytes that a compressed body may inflate to: as many as Lambda would have carried uncompressed."""
STEP_BYTES = 1 << 20
"""Bytes that are decompressed at a time."""

FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to a dialect. `started_ns` and `deadline` are times of monotonic clocks, in nanoseconds and in seconds."""

    headers: Mapping[str, str]
    path_params: Mapping[str, str]
    body: bytes
    service: Service
    door: FrontDoor
    started_ns: int
    deadline: float
    figures: dict[str, int]
    """Counts and durations for the log; the dialect's response adds them."""

    @classmethod
    async def read(cls, request: Request, service: Service) -> Self:
        """Read the whole request."""
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

    def parse(
        self, fields: Mapping[str, Any], name: str = "inputs", decode: Callable[[list[Any]], list[Any]] | None = None
    ) -> EmbeddingRequest:
        """Read texts and options from the fields of a body, with the deployment's limit of texts.

        Raises:
            EmbeddingError: for the same reasons as parsing.embedding_request.
        """
        return embedding_request(fields, self.service.settings.max_client_batch_size, name, decode)

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Read the body as JSON, whatever its content type.

        Raises:
            Malformed: the body is not JSON.
            UnsupportedMediaType: the body is not JSON and its content type says so, or it is compressed, but not by gzip.
            TooLarge: the body is larger than its front door carries, or inflates to more than INFLATED_BYTES.
        """
        self.door.check_request(len(self.body))
        body = self._inflated()
        try:
            return _parsed(body)
        except ValueError as error:
            reason = str(error)
        content_type = self.headers.get("content-type")
        if body and content_type and "json" not in content_type.lower():
            msg = f"The body is not JSON ({reason}), nor does it say it is: its content type is {content_type[:100]}"
            raise UnsupportedMediaType(msg)
        msg = f"The body is not valid JSON: {reason}"
        raise Malformed(msg)

    def fields(self) -> dict[str, Any]:
        """Read the body as a JSON object.

        Raises:
            Validation: the body is JSON, but not an object.
            Malformed, UnsupportedMediaType, TooLarge: for the same reasons as `json`.
        """
        body = self.json()
        if not isinstance(body, dict):
            msg = "The body must be a JSON object"
            raise Validation(msg)
        return body

    def check_model(self) -> None:
        """Compare the model in the path, if there is one, with the model that is served; its organisation may be left out.

        Raises:
            NotFound: the path names another model.
        """
        served, asked = self.service.manifest.model_id, self.path_params.get("model")
        if asked is not None and asked.lower() not in {served.lower(), served.rpartition("/")[2].lower()}:
            msg = f"This endpoint serves {served}, not {asked[:100]}"
            raise NotFound(msg)

    def embed(self, texts: Sequence[str], options: Options) -> Embeddings[Vectors]:
        """Embed before the deadline; the cache is not used if the options or the header `x-use-cache` exclude it.

        Raises:
            EmbeddingError: for the same reasons as Service.embed.
        """
        return self.service.embed(texts, self.cached(options), self.deadline)

    def cached(self, options: Options) -> Options:
        """Return the options, without the cache if the header `x-use-cache` excludes it."""
        cached = self.headers.get("x-use-cache", "true").strip().lower() not in FALSE
        return replace(options, use_cache=options.use_cache and cached)

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


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read JSON. It may escape half of a surrogate pair: that is valid JSON, and the error that follows names the text's index.

    Raises:
        ValueError: the body is not JSON; the sentence has the reason, and nothing of the body.
    """
    if not body:
        msg = "it is empty"
        raise ValueError(msg)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "surrogate" not in str(error):  # orjson says that of bytes that are not UTF-8, too
            raise
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError as error:
        msg = f"it is not UTF-8 from byte {error.start} on"
    except RecursionError:
        msg = "it is nested too deeply"
    except ValueError:
        msg = "it has a number that is not JSON's, or that has too many digits"
    raise ValueError(msg)


def _no_constant(name: str) -> None:
    raise ValueError(name)
