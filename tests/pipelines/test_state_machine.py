"""The template's state machine for bulk runs in moto, with the real function. moto cannot run all of it.

moto runs these parts as template.yaml has them: the states before the maps (defaults, the execution's input, the choice of a format
and the refusal of an unknown one); and each of the four maps with the bucket and key of its reader, its concurrency, its child's
Task with all retries, and its writer. These changes to the definition are needed, and no others are made:

- `ItemBatcher` becomes an `ItemSelector` that makes the same `{"Items", "BatchInput"}` of the template's own `BatchInput`. How AWS
  splits records into batches is not tested: each item of an array is a batch here, and each row of CSV is a batch of one.
- `Transformation` is removed, and `listObjectsV2` becomes `getObject`: one file is read instead of all files under a prefix.
- `InputType` JSONL and PARQUET becomes JSON, because moto reads only JSON and CSV; `ManifestType` is removed.
- `ExecutionType` is removed: children are standard executions instead of express ones.
- `WriterConfig` is removed. moto writes a manifest without the children's receipts, so the tests take these from the replies.

moto does not count failed children against `ToleratedFailurePercentage`, and does not redrive.
"""

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import numpy as np
import pytest
from botocore.exceptions import ClientError

from events.aws import LocalAWS
from handler.errors import Backend
from handler.service import Options, Service
from tests.infra.definition import Definition, definition
from tests.pipelines.deployment import TEXTS, function, s3_jsonl
from tests.pipelines.fakes import FakeService
from tests.pipelines.lambda_front import LambdaFront
from tests.secrecy import say

CORPUS, RECEIPTS, VECTORS = "corpus", "receipts", "vectors"
ROLE = "arn:aws:iam::123456789012:role/bulk"
DONE_SECONDS = 60
POLL_SECONDS = 0.05

# --- Changes that moto's parser needs ---------------------------------------------------------------------


def no_batcher(state: Definition) -> None:
    """Make each item of an array a batch, and each row of CSV a batch of one."""
    batch = state.pop("ItemBatcher")
    items = "States.Array($$.Map.Item.Value)" if state["ItemReader"]["ReaderConfig"]["InputType"] == "CSV" else "$$.Map.Item.Value"
    state["ItemSelector"] = {"Items.$": items, "BatchInput": batch["BatchInput"]}


def no_transformation(state: Definition) -> None:
    """Read one file, whose whole key is the prefix."""
    state["ItemReader"]["ReaderConfig"].pop("Transformation", None)
    state["ItemReader"]["Resource"] = state["ItemReader"]["Resource"].replace("listObjectsV2", "getObject")
    parameters = state["ItemReader"]["Parameters"]
    parameters["Key.$"] = parameters.pop("Prefix.$", None) or parameters["Key.$"]


def no_other_types(state: Definition) -> None:
    """Read an array of batches instead of JSONL and Parquet."""
    config = state["ItemReader"]["ReaderConfig"]
    config["InputType"] = "CSV" if config["InputType"] == "CSV" else "JSON"


def no_manifest(state: Definition) -> None:
    """Read an array of batches instead of the files that a manifest lists."""
    state["ItemReader"]["ReaderConfig"].pop("ManifestType", None)


def no_express(state: Definition) -> None:
    """Make children standard executions."""
    del state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"]


def no_writer_config(state: Definition) -> None:
    """Write results without a format."""
    del state["ResultWriter"]["WriterConfig"]


CHANGES: dict[Callable[[Definition], None], str] = {
    no_batcher: "ItemBatcher",
    no_transformation: "Transformation",
    no_other_types: "JSONL",
    no_manifest: "ManifestType",
    no_express: "EXPRESS",
    no_writer_config: "WriterConfig",
}
"""Each change, and the word in the error of moto's parser without it."""


@pytest.fixture(scope="module")
def whole() -> Definition:
    """Return the definition as it is deployed."""
    return definition()


def changed(whole: Definition, *left_out: Callable[[Definition], None]) -> Definition:
    """Return the definition with all changes but those left out."""
    machine = copy.deepcopy(whole)
    for state in machine["States"].values():
        for change in CHANGES.keys() - left_out if state["Type"] == "Map" else ():
            change(state)
    return machine


# --- Execution --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workflows:
    """State machines in moto, and the function that they invoke."""

    aws: LocalAWS
    front: LambdaFront

    def machine(self, whole: Definition) -> str:
        """Make a state machine; return its ARN."""
        made = self.aws.client("stepfunctions").create_state_machine(name=uuid4().hex, definition=json.dumps(whole), roleArn=ROLE)
        arn: str = made["stateMachineArn"]
        return arn

    def execute(self, whole: Definition, **given: object) -> dict[str, Any]:
        """Run an execution; return its description at the end, with its map run."""
        client = self.aws.client("stepfunctions")
        self.front.replies.clear()
        machine = self.machine(whole)
        arn = client.start_execution(stateMachineArn=machine, name=uuid4().hex, input=json.dumps(given))["executionArn"]
        deadline = time.monotonic() + DONE_SECONDS
        while (found := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)
        runs = client.list_map_runs(executionArn=arn)["mapRuns"]
        return {**found, "run": client.describe_map_run(mapRunArn=runs[0]["mapRunArn"]) if runs else None}


@pytest.fixture(scope="module")
def workflows() -> Iterator[Workflows]:
    """Start a moto that runs state machines, with our server in front of it."""
    with LambdaFront() as front, pytest.MonkeyPatch.context() as environment:
        environment.setenv("MOTO_PORT", str(front.port))
        with LocalAWS() as aws:
            front.upstream = aws.port
            config = json.dumps({"stepfunctions": {"execute_state_machine": True}}).encode()
            with urlopen(Request(f"{aws.endpoint}/moto-api/config", config), timeout=10):  # noqa: S310 - of this machine
                pass
            for name, value in aws.environment.items():
                environment.setenv(name, value)
            for bucket in (CORPUS, RECEIPTS, VECTORS):
                aws.client("s3").create_bucket(Bucket=bucket)
            yield Workflows(aws, front)


@pytest.mark.parametrize("change", CHANGES)
def test_moto_parses_no_definition_without_each_of_the_changes(
    workflows: Workflows, whole: Definition, change: Callable[[Definition], None]
) -> None:
    """If a newer moto needs a change no longer, the change must be removed."""
    with pytest.raises(ClientError, match=rf"{CHANGES[change]}"):
        workflows.machine(changed(whole, change))


RECORDS = [[{"id": "1", "passage": TEXTS[0]}, {"id": "2", "passage": TEXTS[1]}], [{"id": "3", "passage": TEXTS[0]}]]
CSV = f'id,passage\n1,{TEXTS[0]}\n2,"{TEXTS[1]}"\n3,{TEXTS[0]}\n'


@pytest.mark.parametrize(
    ("given", "content", "batches"),
    [
        ({"prefix": "passages/a"}, json.dumps(RECORDS), 2),
        ({"prefix": "passages/a", "format": "PARQUET"}, json.dumps(RECORDS), 2),
        ({"key": "passages/a", "format": "MANIFEST"}, json.dumps(RECORDS), 2),
        ({"prefix": "passages/a", "format": "CSV", "concurrency": 1}, CSV, 3),
    ],
    ids=["JSONL", "PARQUET", "MANIFEST", "CSV"],
)
def test_every_record_of_a_corpus_becomes_a_vector_and_every_batch_a_receipt(
    workflows: Workflows, service: Service, whole: Definition, given: dict[str, Any], content: str, batches: int
) -> None:
    """The map of its format runs, and the receipts name shards that exist."""
    workflows.aws.client("s3").put_object(Bucket=CORPUS, Key="passages/a", Body=content.encode())
    uri, read = s3_jsonl(workflows.aws, VECTORS)
    workflows.front.function = function(service, SINK=f"{uri}/{uuid4().hex}")
    end = workflows.execute(changed(whole), **given)
    say(*TEXTS)
    assert end["status"] == "SUCCEEDED"
    assert end["run"]["itemCounts"]["succeeded"] == batches
    assert end["run"]["maxConcurrency"] == given.get("concurrency", 2)
    found = read()
    for record, text in {"1": TEXTS[0], "2": TEXTS[1], "3": TEXTS[0]}.items():
        assert np.array(found[record], np.float32).tobytes() == service.embed([text], Options()).vectors[0].tobytes()
    receipts = workflows.front.replies
    assert len(receipts) == batches
    assert sum(receipt["count"] for receipt in receipts) == 3
    for receipt in receipts:
        key = receipt["key"].removeprefix(f"s3://{VECTORS}/")
        assert workflows.aws.client("s3").head_object(Bucket=VECTORS, Key=key)["Metadata"]["sha256"] == receipt["sha256"]
    assert json.loads(end["output"])["ResultWriterDetails"]["Bucket"] == RECEIPTS


def test_a_batch_with_a_transient_failure_is_retried(workflows: Workflows, whole: Definition) -> None:
    """The Task's Retry matches the name of the exception."""
    workflows.aws.client("s3").put_object(Bucket=CORPUS, Key="passages/a", Body=json.dumps(RECORDS[1:]).encode())
    failures = iter([Backend("the table is busy")])
    service = FakeService(failing=lambda _: next(failures, None))
    workflows.front.function = function(service, SINK=f"s3://{VECTORS}/again")
    end = workflows.execute(changed(whole), prefix="passages/a")
    first, second = workflows.front.replies
    assert (end["status"], first, second["count"]) == ("SUCCEEDED", "Unfinished", 1)


def test_a_batch_with_a_permanent_failure_is_not_retried(workflows: Workflows, whole: Definition) -> None:
    """Without a failure destination, its batch fails at once, and the other batches succeed."""
    broken = [[{"id": "4"}], *RECORDS]
    workflows.aws.client("s3").put_object(Bucket=CORPUS, Key="passages/a", Body=json.dumps(broken).encode())
    workflows.front.function = function(FakeService(), SINK=f"s3://{VECTORS}/broken")
    end = workflows.execute(changed(whole), prefix="passages/a")
    assert sorted(reply if isinstance(reply, str) else "" for reply in workflows.front.replies) == ["", "", "Empty"]
    counts = end["run"]["itemCounts"]
    assert (counts["failed"], counts["succeeded"]) == (1, 2)


def test_an_unknown_format_is_refused_with_a_sentence(workflows: Workflows, whole: Definition) -> None:
    """It is refused before anything is read."""
    end = workflows.execute(changed(whole), format="XML")
    assert (end["status"], end["error"]) == ("FAILED", "Validation")
    assert end["cause"] == "`format` must be JSONL, CSV, PARQUET or MANIFEST. Given: XML"
    assert workflows.front.replies == []
