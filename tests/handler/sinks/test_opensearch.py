"""An index of OpenSearch gets one document for each record, by signed bulk requests."""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from handler.pipeline.ports import DeletingSink, DocumentSink, Sink
from handler.records import Deleted, Failure, Origin
from handler.sinks import sink_from
from tests.handler.sinks.results import result, results

pytestmark = pytest.mark.usefixtures("aws")
URI = "opensearch://search-passages-a1b2.eu-west-1.es.amazonaws.com/passages"


TYPES = {"/passages/_bulk": "application/x-ndjson", "/passages/_mget": "application/json"}
"""The paths of the index, and the types of the bodies that OpenSearch accepts there."""


class Domain:
    """A domain with one index, which maps `metadata.page` as a number. `busy` ids are refused with 429.

    It knows one secret key, or else that of each local user, whose secret key is the user's own name.
    """

    def __init__(self, busy: tuple[str, ...] = (), status: int = 200, key: str | None = None) -> None:
        self.documents: dict[str, Any] = {}
        self.calls: list[int] = []
        self.busy = busy
        self.status = status
        self.key = key

    def bulk(self, body: bytes) -> list[dict[str, Any]]:
        """Apply the actions of a body; return their outcomes."""
        assert body.endswith(b"\n")
        assert len(body) <= 10 * 1024 * 1024
        lines, items = iter(body.splitlines()), []
        for line in lines:
            ((action, target),) = json.loads(line).items()
            assert action in {"index", "delete"}
            document = json.loads(next(lines)) if action == "index" else None
            items.append({action: {"_id": target["_id"], **self.outcome(target["_id"], document)}})
        self.calls.append(len(items))
        return items

    def read(self, body: bytes) -> list[dict[str, Any]]:
        """Return the asked fields of documents, as `_mget` does."""
        found = []
        for asked in json.loads(body)["docs"]:
            assert asked["_source"] == ["metadata"]
            name = asked["_id"]
            if name in self.busy:
                found.append({"_id": name, "error": {"type": "no_shard_available_action_exception"}})
            elif name in self.documents:
                found.append({"_id": name, "found": True, "_source": {"metadata": self.documents[name]["metadata"]}})
            else:
                found.append({"_id": name, "found": False})
        self.calls.append(len(found))
        return found

    def outcome(self, name: str, document: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Apply one action."""
        assert 1 <= len(name.encode()) <= 512
        if name in self.busy:
            return {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "rejected"}}
        if document is None:
            return {"status": 200 if self.documents.pop(name, None) else 404}
        if isinstance(document["metadata"].get("page", 0), str):
            return {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": document["metadata"]["page"]}}
        self.documents[name] = document
        return {"status": 201}


def check_signature(path: str, headers: Message, body: bytes, secret: str | None) -> None:
    """Check that a request to a path of the index has AWS's signature, version 4."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/eu-west-1/es/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=(\w+)",
        headers["Authorization"],
    )
    assert found
    user, day, names, signature = found.groups()
    digest = hashlib.sha256(body).hexdigest()
    assert headers["X-Amz-Content-SHA256"] == digest
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";"))
    signed = "".join(f"{name}:{headers[name].strip()}\n" for name in names.split(";"))
    request = f"POST\n{path}\n\n{signed}\n{names}\n{digest}"
    scope = f"{day}/eu-west-1/es/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['X-Amz-Date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = b"AWS4" + (secret or user).encode()
    for part in (day, "eu-west-1", "es", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    assert key.hex() == signature


@contextmanager
def serving(domain: Domain) -> Iterator[Sink]:
    """Serve a domain over HTTP; yield the sink that writes to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = domain.status, b"{}"
            try:
                assert self.headers["Content-Type"] == TYPES[self.path]
                check_signature(self.path, self.headers, body, domain.key)
                if status == 200 and self.path == "/passages/_bulk":
                    content = json.dumps({"took": 1, "errors": True, "items": domain.bulk(body)}).encode()
                elif status == 200:
                    content = json.dumps({"docs": domain.read(body)}).encode()
            except (AssertionError, KeyError):
                status = 418
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield sink_from(URI)
        finally:
            server.shutdown()
            thread.join()


def test_each_result_becomes_a_document_under_its_id() -> None:
    """The vector reads back as the same float32, and a repeat overwrites the document."""
    domain = Domain()
    written = result("ä/1", lang="fr", page=7)
    with serving(domain) as sink:
        for _ in range(2):
            assert sink.write([written, *results(700)]) == []
    assert domain.calls == [500, 201] * 2
    assert len(domain.documents) == 701
    document = domain.documents["ä/1"]
    assert np.array(document.pop("embedding"), np.float32).tobytes() == written.vector.tobytes()
    assert document == {"id": "ä/1", "tokens": 2, "truncated": False, "metadata": {"lang": "fr", "page": 7}}


def test_the_metadata_of_the_documents_that_exist_is_read() -> None:
    """If the index does not answer for one of them, it is unknown which chunks it has."""
    domain = Domain()
    with serving(domain) as sink:
        assert isinstance(sink, DocumentSink)
        assert sink.write([result("with", page=7), *results(2)]) == []
        found = sink.read_metadata(["with", "0", "none", "", "x" * 513, *map(str, range(2, 600))])
        assert found == {"with": {"page": 7}, "0": {}}
        assert domain.calls == [3, 500, 101]
        domain.busy = ("1",)
        with pytest.raises(ConnectionError):
            sink.read_metadata(["0", "1"])


def test_calls_stay_within_10_mib() -> None:
    """A single document over the limit is refused permanently."""
    domain = Domain()
    with serving(domain) as sink:
        large = result("large", pad="x" * 11_000_000)
        (failure,) = sink.write([*(result(str(number), pad="x" * 3_000_000) for number in range(5)), large])
    assert (failure.id, failure.transient) == ("large", False)
    assert domain.calls == [3, 2]


def test_a_document_that_does_not_fit_the_mapping_is_a_permanent_failure_and_a_busy_index_a_transient_one() -> None:
    """The others are written, and the sentence does not quote the document."""
    domain = Domain(busy=("1",))
    origin = Origin("handle")
    with serving(domain) as sink:
        failures = sink.write([*results(2), result("bad", origin=origin, page="My diary"), result("last")])
    assert failures == [
        Failure("1", "The index passages did not accept it: es_rejected_execution_exception", "Backend", transient=True),
        Failure(
            "bad", "The index passages did not accept it: mapper_parsing_exception", "Validation", transient=False, origin=origin
        ),
    ]
    assert domain.documents.keys() == {"0", "last"}


@pytest.mark.parametrize("status", [403, 404, 413, 429, 500, 503])
def test_every_record_of_a_call_that_failed_is_retried(status: int) -> None:
    """The domain may come back, or grant the right."""
    with serving(Domain(status=status)) as sink:
        failures = sink.write(results(2))
    assert [(failure.id, failure.transient, failure.error) for failure in failures] == [
        (name, True, f"The index passages did not accept it: HTTP{status}") for name in ("0", "1")
    ]


@pytest.mark.parametrize("name", ["", "k" * 513, "ä" * 257])
def test_an_id_that_no_index_accepts_is_a_permanent_failure(name: str) -> None:
    """OpenSearch would refuse the whole call because of it."""
    domain = Domain()
    with serving(domain) as sink:
        (failure,) = sink.write([result(name), result("good")])
    assert (failure.id, failure.transient) == (name, False)
    assert domain.documents.keys() == {"good"}


def test_documents_of_deleted_records_are_deleted() -> None:
    """An id that is not in the index, or cannot be, is no failure."""
    domain = Domain(busy=("2",))
    with serving(domain) as sink:
        assert isinstance(sink, DeletingSink)
        sink.write([result("1"), result("3")])
        (failure,) = sink.delete([Deleted(name, "deleted") for name in ("1", "2", "missing", "k" * 513)])
    assert (failure.id, failure.transient) == ("2", True)
    assert domain.documents.keys() == {"3"}


def test_a_request_with_a_wrong_signature_writes_nothing() -> None:
    """The domain of these tests does check signatures."""
    domain = Domain(key="another key")
    with serving(domain) as sink:
        (failure,) = sink.write([result("a")])
    assert failure.error == "The index passages did not accept it: HTTP418"
    assert domain.documents == {}
