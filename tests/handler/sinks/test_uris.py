"""A destination is named by a URI, and anything else is refused with a sentence."""

import pytest

from events.aws import LocalAWS
from handler.errors import Backend
from handler.sinks import FAILURE_DESTINATIONS, SINKS, failure_destination_from, sink_from

GOOD = [
    "s3://bucket",
    "s3://bucket/",
    "s3://bucket/deep/prefix",
    "s3://my.bucket/prefix?format=parquet",
    "https://sqs.eu-west-1.amazonaws.com/123456789012/queue.fifo",
    "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/queue",
    "http://127.0.0.1:5000/123456789012/queue",
    "arn:aws-cn:events:cn-north-1:123456789012:event-bus/default",
    "s3vectors://bucket/index",
    "arn:aws:s3vectors:eu-west-1:123456789012:bucket/vectors/index/passages",
    "dynamodb://embedding",
    "dynamodb://an embedding?format=binary",
]
BAD = [
    "",
    "bucket/prefix",
    "s3://",
    "s3://B/prefix",
    "s3://bucket/prefix?format=csv",
    "s3://bucket/prefix?fromat=jsonl",
    "s3://bucket/prefix?format=jsonl&compression=gzip",
    "https://example.com/queue",
    "arn:aws:sqs:us-east-1:123456789012:queue",
    "arn:aws:sns:us-east-1:123456789012:topic",
    "s3vectors://bucket",
    "arn:aws:s3vectors:eu-west-1:123456789012:bucket/vectors",
    "dynamodb://",
    "http://[",
]


@pytest.mark.parametrize("uri", GOOD)
def test_each_form_makes_its_sink(uri: str) -> None:
    """And only one does."""
    assert sum(form.read(uri) is not None for form in SINKS) == 1


@pytest.mark.parametrize("uri", BAD)
def test_anything_else_is_refused_with_the_forms_there_are(uri: str) -> None:
    """The sentence has what was given, too."""
    with pytest.raises(Backend) as refused:
        sink_from(uri)
    assert str(refused.value) == (
        "SINK must be s3://BUCKET/PREFIX?format=jsonl or parquet, an SQS queue's URL, an event bus's ARN, "
        f"s3vectors://BUCKET/INDEX, an S3 Vectors index's ARN or dynamodb://ATTRIBUTE?format=list or binary; it is {uri!r}"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/failures",
        "http://127.0.0.1/123456789012/q",
        "arn:aws:sns:us-east-1:123456789012:t",
        "arn:aws:events:us-east-1:123456789012:event-bus/b",
    ],
)
def test_failures_have_destinations_of_their_own(uri: str) -> None:
    """A topic among them, an index not."""
    assert sum(form.read(uri) is not None for form in FAILURE_DESTINATIONS) == 1


def test_a_failure_destination_that_is_none_is_refused_by_its_settings_name() -> None:
    """Whoever set it has to find it."""
    with pytest.raises(Backend, match=r"^FAILURE_DESTINATION must be s3://BUCKET/PREFIX, .*; it is 'dynamodb://a'$"):
        failure_destination_from("dynamodb://a", "FAILURE_DESTINATION")


def test_a_destination_s_region_is_that_of_its_address(aws: LocalAWS) -> None:
    """Of a queue's URL, or of an ARN; elsewhere the environment says."""
    regions = []

    def connect(service: str, **settings: object) -> object:
        regions.append((service, settings["region"]))
        return aws.client(service)

    sink_from("https://sqs.eu-west-1.amazonaws.com/123456789012/queue", connect=connect)
    sink_from("http://127.0.0.1:5000/123456789012/queue", connect=connect)
    sink_from("arn:aws:events:eu-west-2:123456789012:event-bus/default", connect=connect)
    sink_from("arn:aws:s3vectors:eu-west-3:123456789012:bucket/vectors/index/passages", connect=connect)
    failure_destination_from("arn:aws:sns:eu-north-1:123456789012:failures", connect=connect)
    assert regions == [
        ("sqs", "eu-west-1"),
        ("sqs", None),
        ("events", "eu-west-2"),
        ("s3vectors", "eu-west-3"),
        ("sns", "eu-north-1"),
    ]
