"""A server in front of moto that has what moto's S3 Vectors lacks: QueryVectors, non-filterable keys, and the limits of metadata.

It finds the nearest vectors by exact distance. S3 Vectors finds them approximately, and what that loses is not measured here. Each
request is validated by botocore's model of the service. All other services and operations are passed on to moto.
"""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import botocore.session
import numpy as np
from botocore.validate import ParamValidator

from events.aws import HOST, LocalAWS
from tests.search import filters

HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}
MOST_RESULTS, MOST_METADATA_BYTES, MOST_FILTERABLE_BYTES, MOST_METADATA_KEYS = 100, 40 * 1024, 2 * 1024, 50

WRITES = {"PutVectors", "DeleteVectors", "DeleteIndex"}

type Json = Any
type Call = Callable[[str, Json], Json]
"""Calls an operation of moto with a request."""
type Reply = tuple[int, dict[str, str], bytes]


class RefusedCallError(Exception):
    """A call that S3 Vectors would refuse, by the name of its error."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status = status


class VectorsFront(LocalAWS):
    """Listens during a `with` block, as the AWS of another server on this machine.

    denied: the permissions that the caller lacks, by the names of operations.
    page: the most results of one page.
    delay_seconds: how long a query takes.
    byte_seconds: how long each byte of a response takes.
    asked: the operations of S3 Vectors that were called, each with its request.
    """

    def __init__(self, upstream: LocalAWS) -> None:
        """Pass on to `upstream` what moto can do."""
        self._upstream = upstream
        self._model = botocore.session.get_session().get_service_model("s3vectors")
        self._non_filterable: dict[str, frozenset[str]] = {}
        self._pages: dict[str, list[Json]] = {}
        self._listed: dict[str, tuple[list[Json], np.ndarray]] = {}
        self.denied: set[str] = set()
        self.page = MOST_RESULTS
        self._ended = threading.Event()
        self.delay_seconds = 0.0
        self.byte_seconds = 0.0
        self.asked: list[tuple[str, Json]] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                """Answer a call of S3 Vectors; pass on any other request."""
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, content = front.answer(self.command, self.path, body, dict(self.headers))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                with suppress(OSError):  # the client may have hung up
                    for byte in content if front.byte_seconds else ():
                        self.wfile.write(bytes([byte]))
                        if front.wait(front.byte_seconds):
                            break
                    if not front.byte_seconds:
                        self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._front = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._front.server_port

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread = threading.Thread(target=self._front.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening, and end the calls that still wait."""
        self._ended.set()
        self._front.shutdown()
        self._thread.join()
        self._front.server_close()

    def wait(self, seconds: float) -> bool:
        """Wait; return True at once if the front ends."""
        return self._ended.wait(seconds)

    def answer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Return the response to a request."""
        operation = path.removeprefix("/")
        if operation not in self._model.operation_names:
            if path.startswith("/tags/") and "s3vectors" in path:
                operation = {"GET": "ListTagsForResource", "POST": "TagResource"}.get(method, "UntagResource")
                if operation in self.denied:
                    return self._refusal(RefusedCallError(403, "AccessDeniedException"))
            return self._pass_on(method, path, body, headers)
        asked = json.loads(body)
        self.asked.append((operation, asked))
        try:
            self._check(operation, asked)
            own = {
                "CreateIndex": self._create_index,
                "GetIndex": self._get_index,
                "PutVectors": self._put_vectors,
                "QueryVectors": self._query_vectors,
            }
            call = partial(self._call, headers)
            content = own[operation](asked, call) if operation in own else call(operation, asked)
            return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()
        except RefusedCallError as error:
            return self._refusal(error)
        finally:
            if operation in WRITES:
                self._listed.clear()

    def _check(self, operation: str, asked: Json) -> None:
        """Refuse a request that the caller may not send, or that is not of the service's model."""
        if operation in self.denied:
            raise RefusedCallError(403, "AccessDeniedException")
        report = ParamValidator().validate(asked, self._model.operation_model(operation).input_shape)
        if report.has_errors():
            raise RefusedCallError(400, "ValidationException")

    def _create_index(self, asked: Json, call: Call) -> Json:
        content = call("CreateIndex", asked)
        arn = call("GetIndex", {name: asked[name] for name in ("vectorBucketName", "indexName")})["index"]["indexArn"]
        self._non_filterable[arn] = frozenset(asked.get("metadataConfiguration", {}).get("nonFilterableMetadataKeys", ()))
        return content

    def _get_index(self, asked: Json, call: Call) -> Json:
        content = call("GetIndex", asked)
        if names := self._non_filterable.get(content["index"]["indexArn"]):
            content["index"]["metadataConfiguration"] = {"nonFilterableMetadataKeys": sorted(names)}
        return content

    def _put_vectors(self, asked: Json, call: Call) -> Json:
        index = call("GetIndex", _address(asked))["index"]
        for vector in asked["vectors"]:
            _check_metadata(vector.get("metadata", {}), self._non_filterable.get(index["indexArn"], frozenset()))
            numbers = np.array(vector["data"]["float32"], np.float32)
            if not np.isfinite(numbers).all() or (index["distanceMetric"] == "cosine" and not numbers.any()):
                raise RefusedCallError(400, "ValidationException")
        return call("PutVectors", asked)

    def _query_vectors(self, asked: Json, call: Call) -> Json:
        if self.wait(self.delay_seconds):
            raise RefusedCallError(503, "ServiceUnavailableException")
        if ("filter" in asked or asked.get("returnMetadata")) and "GetVectors" in self.denied:
            raise RefusedCallError(403, "AccessDeniedException")
        index = call("GetIndex", _address(asked))["index"]
        found = self._pages.pop(asked["nextToken"], []) if "nextToken" in asked else self._search(asked, index, call)
        content = {"vectors": found[: self.page], "distanceMetric": index["distanceMetric"]}
        if found[self.page :]:
            content["nextToken"] = token = f"page-{len(self.asked)}"
            self._pages[token] = found[self.page :]
        return content

    def _search(self, asked: Json, index: Json, call: Call) -> list[Json]:
        """Return the nearest vectors by exact distance."""
        query = np.array(asked["queryVector"]["float32"], np.float32)
        if query.size != index["dimension"] or asked["topK"] > MOST_RESULTS or not query.any():
            raise RefusedCallError(400, "ValidationException")
        try:
            given = asked.get("filter")
            matches = (
                filters.parse(given, self._non_filterable.get(index["indexArn"], frozenset())) if given is not None else accept
            )
        except filters.InvalidFilterError:
            raise RefusedCallError(400, "ValidationException") from None
        everything, all_rows = self._vectors_of(asked, index["indexArn"], call)
        places = [place for place, vector in enumerate(everything) if matches(vector.get("metadata") or {})]
        if not places:
            return []
        kept, rows = [everything[place] for place in places], all_rows[places]
        if index["distanceMetric"] == "cosine":
            distances = 1 - rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
        else:
            distances = np.linalg.norm(rows - query, axis=1)
        return [
            {"key": kept[place]["key"]}
            | ({"distance": float(distances[place])} if asked.get("returnDistance") else {})
            | ({"metadata": kept[place].get("metadata") or {}} if asked.get("returnMetadata") else {})
            for place in np.argsort(distances, kind="stable")[: asked["topK"]]
        ]

    def _vectors_of(self, asked: Json, arn: str, call: Call) -> tuple[list[Json], np.ndarray]:
        """Return all vectors of an index; they are listed once after each write."""
        if arn not in self._listed:
            everything = call("ListVectors", {**_address(asked), "returnData": True, "returnMetadata": True})["vectors"]
            self._listed[arn] = everything, np.array([vector["data"]["float32"] for vector in everything], np.float32)
        return self._listed[arn]

    def _call(self, headers: dict[str, str], operation: str, asked: Json) -> Json:
        """Call moto with the caller's headers; return its response.

        Raises:
            RefusedCallError: moto refuses the call.
        """
        status, replied, content = self._pass_on("POST", f"/{operation}", json.dumps(asked).encode(), headers)
        if status >= 300:
            raise RefusedCallError(status, replied.get("x-amzn-errortype") or "ValidationException")
        return json.loads(content or b"{}")

    def _pass_on(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Send a request to moto; return the response."""
        connection = HTTPConnection(HOST, self._upstream.port)
        try:
            sent = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            kept = {name.lower(): value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
            return response.status, kept, response.read()
        finally:
            connection.close()

    @staticmethod
    def _refusal(error: RefusedCallError) -> Reply:
        content = json.dumps({"message": "This call is refused."}).encode()
        return error.status, {"Content-Type": "application/json", "x-amzn-ErrorType": str(error)}, content


def accept(_: object) -> bool:
    """Accept every vector."""
    return True


def _address(asked: Json) -> Json:
    return {name: asked[name] for name in ("vectorBucketName", "indexName", "indexArn") if name in asked}


def _check_metadata(metadata: Json, non_filterable: frozenset[str]) -> None:
    filterable = {name: value for name, value in metadata.items() if name not in non_filterable}
    sizes = [len(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()) for part in (metadata, filterable)]
    if sizes[0] > MOST_METADATA_BYTES or sizes[1] > MOST_FILTERABLE_BYTES or len(metadata) > MOST_METADATA_KEYS:
        raise RefusedCallError(400, "ValidationException")
    for value in metadata.values():
        if not all(isinstance(one, str | int | float) for one in (value if isinstance(value, list) else [value])):
            raise RefusedCallError(400, "ValidationException")
