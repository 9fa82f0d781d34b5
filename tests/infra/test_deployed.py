"""The transformed template is deployed to moto's CloudFormation over HTTP, as far as moto supports it (stacks.py)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from events.aws import LocalAWS
from handler.errors import Backend
from handler.pipeline_settings import PipelineSettings
from handler.sinks import DESTINATIONS, failure_destination_from, parse_address
from tests.infra.stacks import ACCOUNT, deployed, environment, supported_template, upload_code

EVERYTHING = {
    "SourceBucket": "documents", "SourcePrefix": "new/", "SourceBus": "default",
    "CorpusBucket": "corpus", "CorpusPrefix": "passages/", "ReceiptsBucket": "receipts",
    "SourceStreamArn": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/texts", "SinkArn": "arn:aws:s3:::vectors/all",
    "SearchIndexArn": f"arn:aws:s3vectors:us-east-1:{ACCOUNT}:bucket/things/index/texts",
    "Alarms": "true", "Dashboard": "true", "SnapStart": "true", "Tracing": "true", "ReservedConcurrency": "5",
    "KmsKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/one", "Canary": "true", "Instances": "true",
    "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/bounds",
}  # fmt: skip


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    """Provide an account that has the uploads, and a stream for the template to read."""
    with LocalAWS() as aws:
        upload_code(aws)
        aws.client("kinesis").create_stream(StreamName="texts", ShardCount=1)
        yield aws


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """Return the part of the template that moto supports."""
    return supported_template()


def test_the_defaults_make_only_resources_that_cost_nothing_at_rest(aws: LocalAWS, template: dict[str, Any]) -> None:
    """They are two functions with their roles and logs, layers, the table and five queues."""
    made = deployed(aws, template, "plain", {})
    assert {name.rstrip("0123456789abcdef") for name in made if "Version" in name or "Layer" in name} == {
        "ApiFunctionVersion", "PipelineFunctionVersion", "RuntimeLayer", "ModelLayer",
    }  # fmt: skip
    assert {name for name in made if "Version" not in name and "Layer" not in name} == {
        "ApiFunction", "ApiRole", "ApiLogGroup", "AccessLogGroup", "CacheTable",
        "PipelineFunction", "PipelineRole", "PipelineLogGroup", "Failures",
        "DeadLetters", "QueueDeadLetters", "RuleDeadLetters", "StreamDeadLetters",
    }  # fmt: skip
    settings = PipelineSettings.from_environment(environment(aws, "plain-pipeline"))
    assert (settings.sink, settings.continuation_queue, settings.inputs) == ("", "", ())


def test_a_stack_can_have_everything_at_once(aws: LocalAWS, template: dict[str, Any]) -> None:
    """Every condition is met. Mappings, rules and the state machine have the right function and queues."""
    made = deployed(aws, template, "full", EVERYTHING)
    assert {name for name, resource in template["Resources"].items() if name not in made} == set(), "conditions that are not met"
    settings = PipelineSettings.from_environment(environment(aws, "full-pipeline"))
    assert settings.sink == "s3://vectors/all?format=jsonl"
    assert settings.inputs == ("s3://documents/new/", "s3://corpus/passages/")
    assert settings.continuation_queue.startswith("http")
    failure_destination_from(settings.failure_destination)
    mappings = aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert {mapping["FunctionArn"].rpartition(":")[2] for mapping in mappings} == {"full-pipeline-on-instances"}
    (rule,) = aws.client("events").list_rules(NamePrefix="full-objects")["Rules"]
    assert json.loads(rule["EventPattern"])["detail"] == {
        "bucket": {"name": ["documents"]},
        "object": {"key": [{"prefix": "new/"}]},
    }


@pytest.mark.parametrize(
    ("sink", "loops"), [("corpus/passages/vectors", True), ("corpus/passages", True), ("corpus/vectors", False)]
)
def test_a_sink_within_the_corpus_is_refused(aws: LocalAWS, template: dict[str, Any], sink: str, *, loops: bool) -> None:
    """Otherwise the next execution would embed its own vectors."""
    stack = sink.replace("/", "-")
    parameters = {"CorpusBucket": "corpus", "CorpusPrefix": "passages/", "ReceiptsBucket": "corpus"}
    deployed(aws, template, stack, parameters | {"SinkArn": f"arn:aws:s3:::{sink}"})
    variables = environment(aws, f"{stack}-pipeline")
    if loops:
        with pytest.raises(Backend, match=r"^SINK s3://corpus/passages.* must lie outside of INPUT s3://corpus/passages/: "):
            PipelineSettings.from_environment(variables)
    else:
        assert PipelineSettings.from_environment(variables).inputs == ("s3://corpus/passages/",)


@pytest.mark.parametrize(
    ("arn", "sink"),
    [
        ("arn:aws:s3:::vectors/a/b", "s3://vectors/a/b?format=jsonl"),
        (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:vectors", f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/vectors"),
        (f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/vectors", f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/vectors"),
        (f"arn:aws:s3vectors:eu-west-1:{ACCOUNT}:bucket/things/index/texts",) * 2,
        (f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/things", "dynamodb://embedding"),
    ],
)
def test_one_arn_names_the_sink_and_gives_the_right_to_it(aws: LocalAWS, template: dict[str, Any], arn: str, sink: str) -> None:
    """The function gets the sink in a form that it can parse."""
    stack = "sink-" + arn.split(":")[2]
    deployed(aws, template, stack, {"SinkArn": arn})
    assert environment(aws, f"{stack}-pipeline")["SINK"] == sink
    assert any(row.sink and parse_address(sink, row.forms, row.formats) for row in DESTINATIONS)
    iam = aws.client("iam")
    role = next(role["RoleName"] for role in iam.list_roles(MaxItems=1000)["Roles"] if f"{stack}-PipelineRole" in role["RoleName"])
    granted = str(iam.get_role_policy(RoleName=role, PolicyName="pipeline")["PolicyDocument"])
    assert f"'{arn}'" in granted or f"'{arn}/*'" in granted
