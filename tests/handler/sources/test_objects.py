"""Objects of S3 are read in parts, of one state, whatever happens to connections."""

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
from handler.config import PipelineSettings
from handler.errors import Backend, EmbeddingError, Validation
from handler.records import StoredObject
from handler.sources.continuations import objects_of
from handler.sources.objects import PART_BYTES, lines

BUCKET = "corpus"


@pytest.fixture
def s3(aws: LocalAWS) -> Any:  # noqa: ANN401 - botocore's
    """A client, and the bucket."""
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def passages(count: int, size: int = 100) -> bytes:
    """So many lines of JSONL."""
    return b"".join(json.dumps({"id": number, "inputs": "x" * size}).encode() + b"\n" for number in range(count))


def ids(stored: StoredObject) -> list[Any]:
    """The ids in an object."""
    found = lines(connect("s3", read_seconds=2), stored, "inputs")
    return [piece.fields["id"] for piece in found if isinstance(piece.fields, dict)]


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
def test_an_object_is_read_to_its_end(s3: Any, size: int) -> None:  # noqa: ANN401 - botocore's
    """Also where that is a part's, and where there is nothing."""
    line = b"x" * 9999 + b"\n"
    s3.put_object(Bucket=BUCKET, Key="text.txt", Body=(line * (size // len(line) + 1))[:size])
    pieces = list(lines(connect("s3", read_seconds=2), StoredObject(BUCKET, "text.txt"), "inputs"))
    assert len(pieces) == -(-size // len(line))
    assert size == (pieces[-1].end if pieces else 0)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_reading_is_taken_up_at_any_record(s3: Any, ending: str) -> None:  # noqa: ANN401 - botocore's
    """A continuation names the offset of what was decompressed."""
    body = passages(9_000, 1000)
    s3.put_object(Bucket=BUCKET, Key="a.jsonl" + ending, Body=gzip.compress(body, 1) if ending else body)
    offset = body.index(b'{"id": 8500,')
    assert offset > PART_BYTES
    assert ids(StoredObject(BUCKET, "a.jsonl" + ending, offset=offset)) == list(range(8_500, 9_000))
    assert ids(StoredObject(BUCKET, "a.jsonl" + ending, offset=len(body))) == []


def test_a_version_stays_what_it_was(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Whatever is written over it."""
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versioned", Key="a.jsonl", Body=passages(2))["VersionId"]
    s3.put_object(Bucket="versioned", Key="a.jsonl", Body=passages(3))
    assert ids(StoredObject("versioned", "a.jsonl", version=first)) == [0, 1]
    assert ids(StoredObject("versioned", "a.jsonl")) == [0, 1, 2]


def test_an_object_written_over_since_its_event_is_refused(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Its own event is under way."""
    etag = s3.put_object(Bucket=BUCKET, Key="over.jsonl", Body=passages(2))["ETag"]
    assert ids(StoredObject(BUCKET, "over.jsonl", etag=etag)) == [0, 1]
    s3.put_object(Bucket=BUCKET, Key="over.jsonl", Body=passages(3))
    with pytest.raises(Validation, match=r"^s3://corpus/over\.jsonl was written over since its event$"):
        ids(StoredObject(BUCKET, "over.jsonl", etag=etag))


def test_an_object_written_over_while_it_is_read_is_not_mixed(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Half of one state and half of another would be neither."""
    s3.put_object(Bucket=BUCKET, Key="mixed.jsonl", Body=passages(9_000, 1000))
    reading = lines(connect("s3", read_seconds=2), StoredObject(BUCKET, "mixed.jsonl"), "inputs")
    next(reading)
    s3.put_object(Bucket=BUCKET, Key="mixed.jsonl", Body=passages(9_001, 1000))
    with pytest.raises(Validation, match="was written over"):
        list(reading)


def test_an_object_that_is_gone_is_refused_for_good(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """It will not come back."""
    del s3
    with pytest.raises(Validation, match=r"^There is no s3://corpus/gone\.jsonl any more$"):
        ids(StoredObject(BUCKET, "gone.jsonl"))


class Refusing:
    """A store that refuses every read by one code."""

    def __init__(self, status: int, code: str) -> None:
        self._answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def get_object(self, **_: object) -> object:
        """Refuse."""
        raise ClientError(self._answer, "GetObject")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidBucketName"), (400, "KeyTooLongError"), (400, "InvalidArgument"), (405, "MethodNotAllowed")],
)
def test_an_address_that_is_none_of_s3_s_is_refused_for_good(status: int, code: str) -> None:
    """A message may name any, and its stream would wait for it."""
    with pytest.raises(Validation, match=rf"^The object's address cannot be one of S3's: {code}$"):
        list(lines(Refusing(status, code), StoredObject(BUCKET, "a.jsonl"), "inputs"))


def test_a_bucket_s_name_that_botocore_does_not_take_is_refused_for_good(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Before anything is sent."""
    del s3
    with pytest.raises(Validation, match=r"^The object's address cannot be one of S3's: ParamValidationError$"):
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
def test_an_object_that_may_not_be_read_is_retried_only_where_it_was_meant_to_be_read(inputs: str, *, final: bool) -> None:
    """A message can name any object in the world: a stream waited 23 hours for one that its sender alone may read."""
    reading = objects_of(PipelineSettings.from_environment({"INPUT": inputs}), lambda _: Refusing(403, "AccessDenied")).lines(
        StoredObject(BUCKET, "a.jsonl")
    )
    with pytest.raises(EmbeddingError, match=r"^s3://corpus/a\.jsonl may not be read: AccessDenied") as raised:
        list(reading)
    assert isinstance(raised.value, Validation) == final
    assert isinstance(raised.value, Backend) != final


def test_a_store_that_does_not_answer_is_tried_again_later(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the deployment's trouble, not the object's."""
    del aws
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Backend, match=r"^s3://corpus/a\.jsonl could not be read from byte 0 on: EndpointConnectionError$"):
        ids(StoredObject(BUCKET, "a.jsonl"))


class CutStore(BaseHTTPRequestHandler):
    """A store that breaks every other answer off in its middle."""

    content = passages(20_000, 1000)
    answers = 0

    def do_GET(self) -> None:
        """Give the range, or half of it."""
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
        """Say nothing."""


@pytest.fixture
def cut_store(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The store, where clients find it."""
    del aws
    with ThreadingHTTPServer(("127.0.0.1", 0), CutStore) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("cut_store")
def test_a_connection_that_breaks_costs_a_part_and_no_record() -> None:
    """Each part is asked for again, as a whole."""
    assert ids(StoredObject(BUCKET, "a.jsonl")) == list(range(20_000))
    assert CutStore.answers == 2 * -(-len(CutStore.content) // PART_BYTES)
