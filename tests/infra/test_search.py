"""One deployment: documents that are put into a bucket are found by questions, through the built functions.

The stack is in moto's CloudFormation: its rule sends S3's events to its queue, and the functions have the variables that it sets.
The test plays the parts of AWS that moto lacks: S3's events with sequencers, Lambda's polling of the queue, the HTTP API, and the
search of S3 Vectors, which is exact here.
"""

import html
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from events import http_api
from events.aws import LocalAWS
from events.emulator import Emulator
from handler.vector_index import MODEL_TAG
from tests.conftest import ROOT
from tests.documents import Document as Guide
from tests.infra.stacks import ACCOUNT, deployed, environment, supported_template, upload_code
from tests.retrieval.corpus import Document, documents, questions
from tests.search.indexes import LocalIndex, create_index
from tests.search.vectors_front import VectorsFront

STACK, BUCKET = "searching", "documents"
SECONDS = 300
ENDINGS = (".md", ".html", ".txt")


def content_of(document: Document, ending: str) -> str:
    """Return a document as a file of this kind."""
    if ending != ".html":
        return document.text
    title, text = html.escape(document.title), html.escape(document.text)
    return f"<!doctype html><html><head><title>{title}</title></head><body><pre>{text}</pre></body></html>"


@dataclass
class Deployment:
    """A stack with a search, and its functions in emulators."""

    clients: Mapping[str, Any]
    index: LocalIndex
    queue: str
    api: Emulator
    pipeline: Emulator
    _sequence: int = field(default=0x0066AA)

    def put(self, key: str, text: str) -> None:
        """Put a document into the bucket."""
        etag = self.clients["s3"].put_object(Bucket=BUCKET, Key=key, Body=text.encode())["ETag"]
        self._report("Object Created", {"key": key, "size": len(text.encode()), "etag": etag.strip('"')})

    def delete(self, key: str) -> None:
        """Delete a document."""
        self.clients["s3"].delete_object(Bucket=BUCKET, Key=key)
        self._report("Object Deleted", {"key": key})

    def _report(self, kind: str, reported: dict[str, Any]) -> None:
        """Send the event with which S3 reports a change to EventBridge."""
        self._sequence += 1
        detail = {"bucket": {"name": BUCKET}, "object": {**reported, "sequencer": f"{self._sequence:018X}"}}
        entry = {"Source": "aws.s3", "DetailType": kind, "Detail": json.dumps(detail)}
        assert self.clients["events"].put_events(Entries=[entry])["FailedEntryCount"] == 0

    def run_pipeline(self) -> int:
        """Invoke the function with the messages of the queue until it is empty, as Lambda does; return the number of messages."""
        sqs, handled = self.clients["sqs"], 0
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for _ in range(100):
            received = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages", [])
            if not received:
                return handled
            records = [
                {"messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"], "attributes": one["Attributes"]}
                | {"messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": "us-east-1"}
                | {"body": json.dumps({**json.loads(one["Body"]), "account": ACCOUNT})}  # which moto leaves out
                for one in received
            ]
            reply = json.loads(self.pipeline.invoke(json.dumps({"Records": records}).encode(), SECONDS))
            assert reply == {"batchItemFailures": []}, self.pipeline.log[-3000:]
            for one in received:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=one["ReceiptHandle"])
            handled += len(received)
        msg = "the queue does not become empty"
        raise AssertionError(msg)

    def search(self, **fields: object) -> list[dict[str, Any]]:
        """Send a search through the HTTP API; return the results."""
        headers = [("authorization", "Bearer a-key"), ("content-type", "application/json")]
        request = http_api.Request("POST", "/search", "", headers, json.dumps(fields).encode(), "127.0.0.1", 443)
        event = http_api.make_event(request, received=datetime.now(UTC), request_id=uuid4())
        response = http_api.make_response(self.api.invoke(json.dumps(event).encode(), SECONDS))
        assert response.status == 200, response.body
        found: list[dict[str, Any]] = json.loads(response.body)
        return found


@pytest.fixture(scope="module")
def deployment(artefact: Path, opt: Path, runtime_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy the stack with a search over the documents in one bucket."""
    with ExitStack() as stack:
        aws = stack.enter_context(LocalAWS())
        upload_code(aws)
        aws.client("s3").create_bucket(Bucket=BUCKET)
        deployed(aws, supported_template(), STACK, {"Search": "true", "SourceBucket": BUCKET})
        front = stack.enter_context(VectorsFront(aws))
        index = create_index(front)

        def start(name: str, function: str) -> Emulator:
            variables = {name: value.replace("SearchIndex", index.arn) for name, value in environment(aws, function).items()}
            variables.pop("API_KEYS_SECRET", None)  # moto has no secret of the stack
            task = artefact / f"{name.capitalize()}Function"
            home = tmp_path_factory.mktemp(name)
            own = {"PATH": os.defpath, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "API_KEYS": "a-key"}
            return stack.enter_context(
                Emulator(
                    f"handler.functions.{name}.handler",
                    cwd=task,
                    env={**variables, **front.environment, **own, "MODEL_DIR": str(opt / "model")},
                    python=f"{sys.base_prefix}/bin/python3.13",
                    pythonpath=[task, opt / "python", runtime_client],
                    timeout_seconds=SECONDS,
                )
            )

        clients = {service: aws.client(service) for service in ("s3", "sqs", "events")}
        source, failures = (
            clients["sqs"].list_queues(QueueNamePrefix=f"{STACK}-{name}-")["QueueUrls"][0] for name in ("SourceQueue", "Failures")
        )
        # moto counts the messages of a queue as receptions of one message, and would move the 17th to the dead letters.
        clients["sqs"].set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
        yield Deployment(clients, index, source, start("api", f"{STACK}-api"), start("pipeline", f"{STACK}-pipeline"))
        assert "Messages" not in clients["sqs"].receive_message(QueueUrl=failures)


GUIDE = Guide("handler/DEPLOYING.md")


def test_documents_of_a_bucket_are_found_by_questions_and_the_guide_says_how_often(deployment: Deployment) -> None:
    """Five passages are found for each question. The guide has the shares with the answer in them, and with its document."""
    files = {f"python/{name}{ENDINGS[place % 3]}": document for place, (name, document) in enumerate(documents().items())}
    for key, document in files.items():
        deployment.put(key, content_of(document, Path(key).suffix))
    assert deployment.run_pipeline() == len(files)
    assert {key.rpartition("#")[0] for key in deployment.index.ids()} == files.keys()
    assert deployment.index.tags[MODEL_TAG].startswith("sentence-transformers/all-MiniLM-L6-v2 ")
    answers, right_documents = 0, 0
    for question in questions():
        found = [one["metadata"] for one in deployment.search(query=question.question, k=5)]
        right = [metadata["text"] for metadata in found if Path(metadata["document"]).stem == question.document]
        right_documents += bool(right)
        answers += any(question.passage in " ".join(text.split()) for text in right)
    shares = [f"{count / len(questions()):.2f}" for count in (answers, right_documents)]
    stated = re.search(r"recall@5 of the passage with the answer (0\.\d\d), and of its document (0\.\d\d)", GUIDE.text)
    assert stated
    assert shares == list(stated.groups())


def test_the_best_fifty_passages_can_be_reranked(deployment: Deployment) -> None:
    """The deployment has no cross-encoder, so the scores are the model's own similarities again."""
    question = "Do assertions still run when I start the interpreter with -O?"
    found = deployment.search(query=question, k=5)
    reranked = deployment.search(query=question, k=5, rerank=50)
    assert [one["id"] for one in reranked] == [one["id"] for one in found]
    assert [one["score"] for one in reranked] == pytest.approx([one["score"] for one in found], abs=1e-5)


def test_a_new_version_replaces_the_passages_of_the_old_one_and_a_deleted_document_is_gone(deployment: Deployment) -> None:
    """A shorter version has fewer passages, and none of the old ones remains."""
    sentences = [f"The {number}th lighthouse keeper of Altenwerder writes down every ship that passes." for number in range(60)]
    deployment.put("lighthouse.md", "# Lighthouse\n\n" + "\n\n".join(sentences))
    deployment.put("cheese.txt", "Cheese from Altenwerder ripens in a cellar under the church.")
    assert deployment.run_pipeline() == 2
    ids = {key for key in deployment.index.ids() if key.startswith("lighthouse.md")}
    assert len(ids) > 2
    best = deployment.search(query="Who writes down ships?", k=1)[0]
    assert (best["metadata"]["document"], best["metadata"]["title"]) == ("lighthouse.md", "Lighthouse")

    deployment.put("lighthouse.md", "# Lighthouse\n\nNobody lives there any more.")
    assert deployment.run_pipeline() == 1
    assert {key for key in deployment.index.ids() if key.startswith("lighthouse.md")} == {"lighthouse.md#0"}
    found = deployment.search(query="Who writes down ships?", k=100)
    assert [one["metadata"]["text"] for one in found if one["metadata"]["document"] == "lighthouse.md"] == [
        "# Lighthouse\n\nNobody lives there any more."
    ]

    deployment.delete("lighthouse.md")
    assert deployment.run_pipeline() == 1
    assert not {key for key in deployment.index.ids() if key.startswith("lighthouse.md")}
    assert deployment.search(query="Where does cheese ripen?", k=1)[0]["id"] == "cheese.txt#0"


def test_the_artefact_is_built_from_these_sources() -> None:
    """The emulators run build/lambda, not the checkout."""
    built = ROOT / "build/lambda/app/ApiFunction/handler/search.py"
    assert built.read_text() == (ROOT / "handler/search.py").read_text()
