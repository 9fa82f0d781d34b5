"""Documents that are put into a bucket become chunks in an index, and follow their objects, through AWS's APIs over HTTP."""

import json
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from events.aws import LocalAWS
from handler.service import Options, Service
from tests.pipelines.deployment import function
from tests.pipelines.poller import Queue, poll
from tests.secrecy import say

PARAGRAPHS = [
    f"This is paragraph {number} of the guide. It says what step {number} of the work is, and why." for number in range(40)
]
GUIDE = "# The guide\n\n" + "\n\n".join(PARAGRAPHS)
CHUNKS = {"CHUNK_TOKENS": "64", "CHUNK_OVERLAP": "8", "CHUNK_TEXT": "true"}


class Deployment:
    """A bucket, an index, and a function between them. Changes of the bucket are kept as events of EventBridge."""

    def __init__(self, aws: LocalAWS, service: Service, **settings: str) -> None:
        self.name = f"documents-{uuid4().hex}"
        self.s3, self._vectors = aws.client("s3"), aws.client("s3vectors")
        self.s3.create_bucket(Bucket=self.name)
        self._vectors.create_vector_bucket(vectorBucketName=self.name)
        self._vectors.create_index(
            vectorBucketName=self.name,
            indexName="passages",
            dataType="float32",
            dimension=384,
            distanceMetric="cosine",
            metadataConfiguration={"nonFilterableMetadataKeys": ["text"]},
        )
        self.failures = Queue(aws.client("sqs"), f"{self.name}-failures")
        self.handler = function(
            service,
            SINK=f"s3vectors://{self.name}/passages",
            INPUT=f"s3://{self.name}",
            FAILURE_DESTINATION=self.failures.url,
            **(CHUNKS | settings),
        )
        self._changes = 0

    def put(self, key: str, body: str | bytes) -> dict[str, Any]:
        """Put an object; return its event."""
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        return self.event("Object Created", key)

    def delete(self, key: str) -> dict[str, Any]:
        """Delete an object; return its event."""
        self.s3.delete_object(Bucket=self.name, Key=key)
        return self.event("Object Deleted", key)

    def event(self, kind: str, key: str) -> dict[str, Any]:
        self._changes += 1
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": kind,
            "source": "aws.s3",
            "account": "123456789012",
            "time": "2026-11-30T00:00:00Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:s3:::{self.name}"],
            "detail": {"bucket": {"name": self.name}, "object": {"key": key, "sequencer": f"{self._changes:018X}"}},
        }

    def handle(self, *events: dict[str, Any]) -> None:
        """Handle events, each in an invocation of its own."""
        for event in events:
            assert self.handler(event, None) is None

    @property
    def vectors(self) -> dict[str, Any]:
        """All vectors of the index, by their keys."""
        pages = self._vectors.get_paginator("list_vectors").paginate(
            vectorBucketName=self.name, indexName="passages", returnData=True, returnMetadata=True
        )
        return {vector["key"]: vector for page in pages for vector in page["vectors"]}


@pytest.fixture
def deployment(aws: LocalAWS, service: Service) -> Deployment:
    """Provide a deployment with chunks of 64 tokens."""
    return Deployment(aws, service)


def test_a_document_becomes_chunks_with_title_path_and_text(deployment: Deployment, service: Service) -> None:
    """Each chunk has the vector of its own text, and its range in the document."""
    say(GUIDE)
    deployment.handle(deployment.put("manuals/guide.md", GUIDE))
    vectors = deployment.vectors
    assert vectors.keys() == {f"manuals/guide.md#{number}" for number in range(len(vectors))}
    assert len(vectors) > 10
    for vector in vectors.values():
        metadata = vector["metadata"]
        assert GUIDE[int(metadata["start"]) : int(metadata["end"])] == metadata["text"]
        assert (metadata["title"], metadata["path"], metadata["document"]) == ("The guide", *["manuals/guide.md"] * 2)
        embedded = service.embed([metadata["text"]], Options(truncate=False))
        assert embedded.tokens <= 64
        assert np.array(vector["data"]["float32"], np.float32).tobytes() == embedded.vectors[0].tobytes()
    assert vectors["manuals/guide.md#0"]["metadata"]["chunks"] == len(vectors)


def test_a_shorter_version_and_a_deletion_leave_no_chunk_behind(deployment: Deployment) -> None:
    """Other documents stay, one of them with the name of a chunk."""
    deployment.handle(deployment.put("guide.md", GUIDE), deployment.put("guide.md#0.txt", "Another text."))
    before = len(deployment.vectors)
    deployment.handle(deployment.put("guide.md", "\n\n".join(PARAGRAPHS[:5])))
    assert 2 < len(deployment.vectors) < before
    deployment.handle(deployment.delete("guide.md"))
    assert deployment.vectors.keys() == {"guide.md#0.txt#0"}


def test_events_that_come_late_or_twice_change_nothing(deployment: Deployment) -> None:
    """An older version never overwrites a newer one, and a deleted document does not return."""
    old = deployment.put("a.txt", GUIDE)
    new = deployment.put("a.txt", "The new text is short.")
    deployment.handle(new)
    expected = deployment.vectors
    assert [vector["metadata"]["text"] for vector in expected.values()] == ["The new text is short."]
    deployment.handle(old, new, old)
    assert deployment.vectors == expected
    deployment.handle(deployment.delete("a.txt"), new, old)
    assert deployment.vectors == {}


def test_html_and_text_files_are_documents_and_jsonl_holds_records(deployment: Deployment) -> None:
    """All of them are split."""
    record = {"id": "r", "inputs": GUIDE, "page": 7}
    deployment.handle(
        deployment.put("a.html", "<title>Page</title><h1>Head</h1><p>Text.</p><script>no()</script>"),
        deployment.put("b.txt", "First line.\nSecond line."),
        deployment.put("c.jsonl", json.dumps(record)),
    )
    texts = {key: vector["metadata"]["text"] for key, vector in deployment.vectors.items() if not key.startswith("r#")}
    assert texts == {"a.html#0": "Head\n\nText.", "b.txt#0": "First line.\nSecond line."}
    assert deployment.vectors["r#1"]["metadata"]["page"] == 7
    assert deployment.failures.bodies() == []


def test_documents_that_cannot_be_read_are_recorded_with_what_to_do(deployment: Deployment) -> None:
    """Their events are not retried."""
    deployment.handle(deployment.put("a.md", b"caf\xe9"), deployment.put("b.pdf", b"%PDF-1.7"), deployment.put("c.md", " \n"))
    reasons = {failure["id"]: failure["error"] for failure in map(json.loads, deployment.failures.bodies())}
    assert reasons.keys() == {"a.md", f"s3://{deployment.name}/b.pdf"}
    assert "iconv" in reasons["a.md"]
    assert "pdftotext" in reasons[f"s3://{deployment.name}/b.pdf"]
    assert deployment.vectors == {}


def test_events_reach_the_function_through_the_queue(deployment: Deployment, aws: LocalAWS) -> None:
    """S3's own notifications, with encoded keys, are read as EventBridge's events are."""
    deployment.s3.put_object(Bucket=deployment.name, Key="a guide.md", Body=GUIDE)
    queue = Queue(aws.client("sqs"), f"{deployment.name}-source")
    stored = {"key": "a+guide.md", "sequencer": "0A", "size": 1, "eTag": "x"}
    notification = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": deployment.name}, "object": stored},
    }
    queue.send([("", json.dumps({"Records": [notification]}))])
    poll(queue, lambda event: deployment.handler(event, None), batches=1, most_events=2)
    assert "a guide.md#0" in deployment.vectors


def test_without_chunks_a_markdown_file_is_one_vector_and_a_text_file_has_lines(aws: LocalAWS, service: Service) -> None:
    """A deployment that splits no texts keeps the ids that it had before there were chunks."""
    deployment = Deployment(aws, service, CHUNK_TOKENS="", CHUNK_OVERLAP="")
    deployment.handle(deployment.put("a.md", GUIDE), deployment.put("b.txt", "One.\nTwo.\n"))
    assert deployment.vectors.keys() == {"a.md", "b.txt:0", "b.txt:5"}


def test_shards_get_the_chunks_as_ordinary_results(aws: LocalAWS, service: Service) -> None:
    """A deleted object changes nothing there."""
    deployment = Deployment(aws, service)
    handler = function(service, SINK=f"s3://{deployment.name}-out/vectors", **CHUNKS)
    deployment.s3.create_bucket(Bucket=f"{deployment.name}-out")
    handler(deployment.put("a.md", GUIDE), None)
    handler(deployment.delete("a.md"), None)
    (shard,) = deployment.s3.list_objects_v2(Bucket=f"{deployment.name}-out")["Contents"]
    lines = deployment.s3.get_object(Bucket=f"{deployment.name}-out", Key=shard["Key"])["Body"].read().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"a.md#{number}" for number in range(len(lines))]
    assert len(lines) > 10
