"""The pipeline function as a deployment makes it, its sinks, and the texts of the example events."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq

from events.aws import LocalAWS
from handler.bootstrap import Handler
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.service import Service
from tests.handler.known_events import EVENTS
from tests.pipelines.poller import Queue
from tests.secrecy import overheard

TEXTS = ("Today is a sunny day and I will get some ice cream.", "It rained all morning, so the picnic moved indoors.")

type Found = Mapping[str, Any]
type Read = Callable[[], Found]


EXPECTED: dict[str, dict[str, str]] = {
    "sqs": {"059f36b4-87a3-44ab-83d2-661970000001": TEXTS[0], "weather-2": TEXTS[1], "sns-in-sqs": TEXTS[1]},
    "sqs_fifo": {"weather-0": TEXTS[0], "weather-1": TEXTS[1], "weather-2": TEXTS[0]},
    "sns": {"weather-1": TEXTS[0]},
    "eventbridge": {"weather-1": TEXTS[0]},
    "kinesis": {EVENTS["kinesis"]["Records"][0]["eventID"]: TEXTS[0], "weather-2": TEXTS[1]},
    "kinesis_aggregated": {f"{EVENTS['kinesis_aggregated']['Records'][0]['eventID']}:0": TEXTS[0], "weather-2": TEXTS[1]},
    "dynamodb": {"weather-1": TEXTS[0], "weather-2": TEXTS[1]},
    "s3": {"weather-1": TEXTS[0], "weather-2": TEXTS[1]},
    "s3_eventbridge": {"weather-1": TEXTS[0], "weather-2": TEXTS[1]},
    "distributed_map": {"1": TEXTS[0], "2": TEXTS[1]},
}
"""The texts of each example event, by the ids of their records."""


def s3_jsonl(aws: LocalAWS, name: str) -> tuple[str, Read]:
    """Write shards of JSONL."""
    return f"s3://{name}/out", lambda: {
        one["id"]: one["embedding"] for body in read_objects(aws, name) for one in map(json.loads, body.splitlines())
    }


def s3_parquet(aws: LocalAWS, name: str) -> tuple[str, Read]:
    """Write shards of Parquet."""
    return f"s3://{name}/out?format=parquet", lambda: {
        one["id"]: one["embedding"] for body in read_objects(aws, name) for one in pq.read_table(io.BytesIO(body)).to_pylist()
    }


def sqs(aws: LocalAWS, name: str) -> tuple[str, Read]:
    """Write one message for each vector."""
    queue = Queue(aws.client("sqs"), name)
    return queue.url, lambda: {one["id"]: one["embedding"] for one in map(json.loads, queue.bodies())}


def eventbridge(aws: LocalAWS, name: str) -> tuple[str, Read]:
    """Write one event for each vector. A rule sends it on to a queue."""
    events, queue = aws.client("events"), Queue(aws.client("sqs"), name)
    arn = events.create_event_bus(Name=name)["EventBusArn"]
    pattern = json.dumps({"source": ["embeddings-on-lambda"], "detail-type": ["Embedding"]})
    events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": queue.arn}])
    return arn, lambda: {one["id"]: one["embedding"] for one in (json.loads(body)["detail"] for body in queue.bodies())}


def s3_vectors(aws: LocalAWS, name: str) -> tuple[str, Read]:
    """Write into an index of S3 Vectors."""
    client, index = aws.client("s3vectors"), {"vectorBucketName": name, "indexName": "passages"}
    client.create_vector_bucket(vectorBucketName=name)
    client.create_index(**index, dataType="float32", dimension=384, distanceMetric="cosine")
    return f"s3vectors://{name}/passages", lambda: {
        one["key"]: one["data"]["float32"] for one in client.list_vectors(**index, returnData=True)["vectors"]
    }


def read_objects(aws: LocalAWS, bucket: str) -> list[bytes]:
    """Read all objects of a bucket."""
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]


def function(service: Service, **settings: str) -> Handler:
    """Make the pipeline function of settings, as a deployment does."""
    return overheard(make_handler(service, Setup.of(settings)))


def table_with_stream(aws: LocalAWS) -> tuple[str, str]:
    """Create a DynamoDB table with a stream; return its name and the stream's ARN."""
    name, dynamodb = f"items-{uuid4().hex}", aws.client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return name, dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]
