"""The texts of every source become vectors in every sink, through AWS's APIs over HTTP."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from events.aws import LocalAWS
from events.invoke import DOCUMENT, PASSAGES
from handler.service import Options, Service
from tests.handler.functions.fake_lambda import Context
from tests.handler.known_events import EVENTS
from tests.pipelines.deployment import (
    EXPECTED,
    TEXTS,
    Read,
    eventbridge,
    function,
    s3_jsonl,
    s3_parquet,
    s3_vectors,
    sqs,
    table_with_stream,
)
from tests.pipelines.fakes import FakeService
from tests.pipelines.poller import Queue, poll
from tests.secrecy import say


@pytest.fixture(scope="module", autouse=True)
def documents(aws_server: LocalAWS) -> None:
    """Store the object that the example events of S3 report."""
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="documents")
    s3.put_object(Bucket="documents", Key=DOCUMENT, Body=PASSAGES)


@pytest.mark.parametrize("sink", [s3_jsonl, s3_parquet, sqs, eventbridge, s3_vectors])
@pytest.mark.parametrize("name", EXPECTED)
def test_the_texts_of_every_source_become_vectors_in_every_sink(
    aws: LocalAWS, service: Service, name: str, sink: Callable[[LocalAWS, str], tuple[str, Read]]
) -> None:
    """They have the bits of the vectors that HTTP returns."""
    bucket = f"out-{uuid4().hex}"
    if sink in {s3_jsonl, s3_parquet}:
        aws.client("s3").create_bucket(Bucket=bucket)
    uri, read = sink(aws, bucket)
    reply = function(service, SINK=uri)(EVENTS[name], None)
    assert reply in (None, {"batchItemFailures": []}) or reply["count"] == 2
    found, expected = read(), EXPECTED[name]
    say(*expected.values())  # the events of S3 do not contain them
    assert found.keys() == expected.keys()
    for record, text in expected.items():
        assert np.array(found[record], np.float32).tobytes() == service.embed([text], Options()).vectors[0].tobytes()


def test_the_vector_of_a_deleted_item_is_deleted(aws: LocalAWS, service: Service) -> None:
    """Vectors of other items stay in the index."""
    name = f"out-{uuid4().hex}"
    uri, read = s3_vectors(aws, name)
    vector = {"float32": [1.0] * 384}
    put = [{"key": f"weather-{number}", "data": vector} for number in (4, 5)]
    aws.client("s3vectors").put_vectors(vectorBucketName=name, indexName="passages", vectors=put)
    assert function(service, SINK=uri)(EVENTS["dynamodb"], None) == {"batchItemFailures": []}
    assert read().keys() == {*EXPECTED["dynamodb"], "weather-5"}


def test_a_receipt_of_a_map_identifies_the_shard(aws: LocalAWS, service: Service) -> None:
    """It has key, count and digest, and a repeat gives the same receipt."""
    bucket = f"out-{uuid4().hex}"
    aws.client("s3").create_bucket(Bucket=bucket)
    event = {"BatchInput": {"sink": f"s3://{bucket}/out", "text_field": "passage"}, "Items": EVENTS["distributed_map"]["Items"]}
    first, second = (function(service)(event, None) for _ in range(2))
    assert first == second
    assert (first["count"], first["failed"], len(first["sha256"])) == (2, 0, 64)
    stored = aws.client("s3").get_object(Bucket=bucket, Key=first["key"].removeprefix(f"s3://{bucket}/"))["Body"].read()
    assert len(stored.splitlines()) == 2
    assert len(json.dumps(first)) < 300


def test_a_vector_is_written_back_into_its_item_once(aws: LocalAWS, service: Service) -> None:
    """Writing it makes a change in the stream, too. That change is skipped, because the text is the same."""
    dynamodb = aws.client("dynamodb")
    name, stream = table_with_stream(aws)
    answer = function(service, SINK="dynamodb://embedding?format=binary", TEXT_FIELD="text")

    def changes(start: int) -> list[dict[str, Any]]:
        """Return the changes of the stream from a position on, in the form that Lambda gives a function."""
        streams = aws.client("dynamodbstreams")
        shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        found = streams.get_records(ShardIterator=iterator)["Records"][start:]
        return [
            {"eventID": one["eventID"], "eventName": one["eventName"], "eventSource": "aws:dynamodb", "eventSourceARN": stream}
            | {"dynamodb": one["dynamodb"] | {"StreamViewType": "NEW_AND_OLD_IMAGES"}}
            for one in json.loads(
                json.dumps(found, default=lambda value: value.decode("latin-1") if isinstance(value, bytes) else 0)
            )
        ]

    def kept() -> bytes:
        item = dynamodb.get_item(TableName=name, Key={"pk": {"S": "1"}}, ConsistentRead=True)["Item"]
        vector: bytes = item["embedding"]["B"]
        return vector

    dynamodb.put_item(TableName=name, Item={"pk": {"S": "1"}, "text": {"S": TEXTS[0]}})
    assert answer({"Records": changes(0)}, None) == {"batchItemFailures": []}
    assert kept() == service.embed([TEXTS[0]], Options()).vectors[0].tobytes()
    own = changes(1)
    assert [one["eventName"] for one in own] == ["MODIFY"]
    assert answer({"Records": own}, None) == {"batchItemFailures": []}
    assert changes(2) == []

    late = changes(0)[:1]
    dynamodb.update_item(
        TableName=name,
        Key={"pk": {"S": "1"}},
        UpdateExpression="SET #t = :t",
        ExpressionAttributeNames={"#t": "text"},
        ExpressionAttributeValues={":t": {"S": TEXTS[1]}},
    )
    assert answer({"Records": changes(2)}, None) == {"batchItemFailures": []}
    assert answer({"Records": late}, None) == {"batchItemFailures": []}
    assert kept() == service.embed([TEXTS[1]], Options()).vectors[0].tobytes()


def test_the_continuation_queue_resumes_an_object_until_it_is_done(aws: LocalAWS) -> None:
    """No invocation has time for the whole object, and every shard is written once."""
    name, s3 = f"long-{uuid4().hex}", aws.client("s3")
    s3.create_bucket(Bucket=name)
    lines = 4000
    s3.put_object(Bucket=name, Key="in/long.jsonl", Body=b"".join(b'{"inputs":"line %d"}\n' % number for number in range(lines)))
    queue = Queue(aws.client("sqs"), name)
    notice = json.dumps(EVENTS["s3"]["Records"][0] | {"s3": {"bucket": {"name": name}, "object": {"key": "in/long.jsonl"}}})
    queue.send([("", f'{{"Records": [{notice}]}}')])
    settings = {"SINK": f"s3://{name}/out", "INPUT": f"s3://{name}/in/", "CONTINUATION_QUEUE": queue.url}
    service = FakeService(seconds=0.0005)
    answer = function(service, **settings)
    events = poll(queue, lambda event: answer(event, Context(2)), batches=1, most_events=60)
    keys = sorted(one["Key"] for one in s3.list_objects_v2(Bucket=name, Prefix="out/")["Contents"])
    assert len(keys) == 4
    assert events > 1
    found = [one["id"] for key in keys for one in map(json.loads, s3.get_object(Bucket=name, Key=key)["Body"].read().splitlines())]
    assert len(found) == len(set(found)) == lines


def test_permanent_failures_go_to_the_failure_destination(aws: LocalAWS, service: Service) -> None:
    """Each has its reason and the original message. The queue does not retry them."""
    name = f"failed-{uuid4().hex}"
    aws.client("s3").create_bucket(Bucket=name)
    kept = Queue(aws.client("sqs"), name)
    answer = function(service, SINK=f"s3://{name}/out", FAILURE_DESTINATION=kept.url)
    bodies = ["{not JSON", "{}", '{"inputs": "a", "prompt_name": "none"}', json.dumps({"inputs": "a" * 1_100_000}), "fine"]
    sent = [EVENTS["sqs"]["Records"][0] | {"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
    assert answer({"Records": sent}, None) == {"batchItemFailures": []}
    failures = {one["id"]: one for one in map(json.loads, kept.bodies())}
    assert {number: failure["error"][:40] for number, failure in failures.items()} == {
        "0": "The message begins like a JSON object, b",
        "1": "`inputs` is missing",
        "2": "`prompt_name` is not one of this model's",
        "3": "`inputs` has 1100000 characters > 104857",
    }
    assert failures["1"]["record"]["body"] == "{}"
