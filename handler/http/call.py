"""One request, as a dialect sees it: its body read once, and what bounds the answer."""

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from fastapi import Request

from handler.errors import Malformed, TooLarge, Validation
from handler.http.doors import FrontDoor, remaining_ms
from handler.http.errors import NotFound, UnsupportedMediaType
from handler.service import Service

INFLATED_BYTES = 16 * 1024 * 1024
"""The most that a compressed body may become: more than twice what Lambda carries uncompressed."""
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
            deadline=door.deadline(scope.get("aws.event", {}), remaining_ms(scope.get("aws.context"))),
        )

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
            content_type = self.headers.get("content-type")
            if body and content_type and "json" not in content_type.lower():
                msg = f"The body is not JSON. Send JSON as application/json. Given: {content_type[:100]}"
                raise UnsupportedMediaType(msg) from None
            reason = "it is empty" if not body else str(error)
            msg = f"The body is not valid JSON: {reason}"
            raise Malformed(msg) from None

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

    def _inflated(self) -> bytes:
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            return self.body
        if encoding != "gzip":
            msg = f"The body's content-encoding must be gzip or identity. Given: {encoding[:40]}"
            raise UnsupportedMediaType(msg)
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: gzip's own header
        try:
            body = inflater.decompress(self.body, INFLATED_BYTES)
        except zlib.error:
            msg = "The body says it is gzip, and is not"
            raise Malformed(msg) from None
        if inflater.unconsumed_tail:
            msg = f"the body inflates to more than {INFLATED_BYTES} bytes"
            raise TooLarge(msg)
        return body
