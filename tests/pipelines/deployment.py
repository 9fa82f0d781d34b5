"""The pipeline function as a deployment makes it, two texts, and vectors read back from each sink."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow.parquet as pq

from events.aws import LocalAWS
from handler.bootstrap import Handler
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.service import Service
from tests.pipelines.poller import Queue
from tests.secrecy import overheard

TEXTS = ("Today is a sunny day and I will get some ice cream.", "It rained all morning, so the picnic moved indoors.")

type Found = Mapping[str, Any]
type Read = Callable[[], Found]


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
