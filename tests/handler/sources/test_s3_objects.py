"""Objects of S3 are read in parts of one state, whatever happens to connections."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from events.aws import LocalAWS
from handler.aws import connect
from handler.errors import Backend, EmbeddingError, Validation
from handler.pipeline_settings import PipelineSettings
from handler.records import StoredObject
from handler.sources.continuations import make_object_store
from handler.sources.s3_objects import PART_BYTES, read_fields

BUCKET = "corpus"


@pytest.fixture
def s3(aws: LocalAWS) -> Any:  # noqa: ANN401 - botocore's
    """A client of moto's S3, with the bucket."""
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def passages(count: int, size: int = 100) -> bytes:
    """Return so many lines of JSONL."""
    return b"".join(json.dumps({"id": number, "inputs": "x" * size}).encode() + b"\n" for number in range(count))


def ids(stored: StoredObject) -> list[Any]:
    """Return the ids in an object."""
    found = read_fields(connect("s3", read_seconds=2), stored, "inputs")
    return [record.fields["id"] for record in found if isinstance(record.fields, dict)]


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
def test_an_object_is_read_to_its_end(s3: Any, size: int) -> None:  # noqa: ANN401 - botocore's
    """The end may be the end of a part, and the object may be empty."""
    line = b"x" * 9999 + b"\n"
    s3.put_object(Bucket=BUCKET, Key="text.txt", Body=(line * (size // len(line) + 1))[:size])
    records = list(read_fields(connect("s3", read_seconds=2), StoredObject(BUCKET, "text.txt"), "inputs"))
    assert len(records) == -(-size // len(line))
    assert size == (records[-1].end if records else 0)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_reading_resumes_at_any_record(s3: Any, ending: str) -> None:  # noqa: ANN401 - botocore's
    """The offset of a continuation counts decompressed bytes."""
    body = passages(9_000, 1000)
    s3.put_object(Bucket=BUCKET, Key="a.jsonl" + ending, Body=gzip.compress(body, 1) if ending else body)
    offset = body.index(b'{"id": 8500,')
    assert offset > PART_BYTES
    assert ids(StoredObject(BUCKET, "a.jsonl" + ending, offset=offset)) == list(range(8_500, 9_000))
    assert ids(StoredObject(BUCKET, "a.jsonl" + ending, offset=len(body))) == []


def test_a_version_is_read_after_the_object_was_overwritten(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Without a version, the newest one is read."""
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versioned", Key="a.jsonl", Body=passages(2))["VersionId"]
    s3.put_object(Bucket="versioned", Key="a.jsonl", Body=passages(3))
    assert ids(StoredObject("versioned", "a.jsonl", version=first)) == [0, 1]
    assert ids(StoredObject("versioned", "a.jsonl")) == [0, 1, 2]


def test_an_object_that_was_overwritten_since_its_event_is_refused(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """The newer state has an event of its own."""
    etag = s3.put_object(Bucket=BUCKET, Key="over.jsonl", Body=passages(2))["ETag"]
    assert ids(StoredObject(BUCKET, "over.jsonl", etag=etag)) == [0, 1]
    s3.put_object(Bucket=BUCKET, Key="over.jsonl", Body=passages(3))
    with pytest.raises(Validation, match=r"^s3://corpus/over\.jsonl was overwritten since its event$"):
        ids(StoredObject(BUCKET, "over.jsonl", etag=etag))


def test_an_object_that_is_overwritten_while_it_is_read_fails(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Parts of two states would make an object that never existed."""
    s3.put_object(Bucket=BUCKET, Key="mixed.jsonl", Body=passages(9_000, 1000))
    reading = read_fields(connect("s3", read_seconds=2), StoredObject(BUCKET, "mixed.jsonl"), "inputs")
    next(reading)
    s3.put_object(Bucket=BUCKET, Key="mixed.jsonl", Body=passages(9_001, 1000))
    with pytest.raises(Validation, match="was overwritten"):
        list(reading)


def test_a_deleted_object_is_a_permanent_failure(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """A retry would not find it either."""
    del s3
    with pytest.raises(Validation, match=r"^s3://corpus/gone\.jsonl does not exist any more$"):
        ids(StoredObject(BUCKET, "gone.jsonl"))


class Refusing:
    """A client of S3 that refuses every read with one code."""

    def __init__(self, status: int, code: str) -> None:
        self._answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def get_object(self, **_: object) -> object:
        """Refuse the read."""
        raise ClientError(self._answer, "GetObject")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidBucketName"), (400, "KeyTooLongError"), (400, "InvalidArgument"), (405, "MethodNotAllowed")],
)
def test_an_impossible_address_is_a_permanent_failure(status: int, code: str) -> None:
    """A message may name any address. If it were retried, its stream would wait for it."""
    with pytest.raises(Validation, match=rf"^No object of S3 can have this address: {code}$"):
        list(read_fields(Refusing(status, code), StoredObject(BUCKET, "a.jsonl"), "inputs"))


def test_a_bucket_name_that_botocore_refuses_is_a_permanent_failure(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Botocore refuses it before anything is sent."""
    del s3
    with pytest.raises(Validation, match=r"^No object of S3 can have this address: ParamValidationError$"):
        ids(StoredObject("no bucket!", "a.jsonl"))


@pytest.mark.parametrize(
    ("inputs", "final"),
    [
        ("", True),
        ("s3://other", True),
        ("s3://corpus/in/", True),
        ("s3://corp", True),
        ("https://sqs.us-east-1.amazonaws.com/123456789012/corpus", True),
        ("s3://corpus", False),
        ("s3://other/, s3://corpus/a", False),
    ],
)
def test_an_object_that_may_not_be_read_is_retried_only_within_input(inputs: str, *, final: bool) -> None:
    """A message can name any object in the world. If its read were retried, a stream could wait 23 hours for it."""
    reading = make_object_store(
        PipelineSettings.from_environment({"INPUT": inputs}), lambda _: Refusing(403, "AccessDenied")
    ).lines(StoredObject(BUCKET, "a.jsonl"))
    with pytest.raises(EmbeddingError, match=r"^s3://corpus/a\.jsonl may not be read: AccessDenied") as raised:
        list(reading)
    assert isinstance(raised.value, Validation) == final
    assert isinstance(raised.value, Backend) != final


def test_an_unreachable_s3_is_a_transient_failure(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object is not at fault."""
    del aws
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Backend, match=r"^s3://corpus/a\.jsonl could not be read from byte 0 on: EndpointConnectionError$"):
        ids(StoredObject(BUCKET, "a.jsonl"))


class CutStore(BaseHTTPRequestHandler):
    """An S3 that breaks off every other response in its middle."""

    content = passages(20_000, 1000)
    answers = 0

    def do_GET(self) -> None:
        """Send the range, or half of it."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        assert asked
        part = self.content[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", '"etag"')
        self.end_headers()
        CutStore.answers += 1
        self.wfile.write(part if CutStore.answers % 2 == 0 else part[: len(part) // 2])

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def cut_store(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the server as the endpoint of all clients."""
    del aws
    with ThreadingHTTPServer(("127.0.0.1", 0), CutStore) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("cut_store")
def test_a_broken_connection_loses_no_record() -> None:
    """Each broken part is read again as a whole."""
    assert ids(StoredObject(BUCKET, "a.jsonl")) == list(range(20_000))
    assert CutStore.answers == 2 * -(-len(CutStore.content) // PART_BYTES)
