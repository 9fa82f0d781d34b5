"""The pipeline function as a deployment makes it, two texts, and vectors read back from S3."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from events.aws import LocalAWS
from handler.bootstrap import Handler
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.service import Service
from tests.secrecy import overheard

TEXTS = ("Today is a sunny day and I will get some ice cream.", "It rained all morning, so the picnic moved indoors.")

type Found = Mapping[str, Any]
type Read = Callable[[], Found]


def s3_jsonl(aws: LocalAWS, name: str) -> tuple[str, Read]:
    """Write shards of JSONL."""
    return f"s3://{name}/out", lambda: {
        one["id"]: one["embedding"] for body in read_objects(aws, name) for one in map(json.loads, body.splitlines())
    }


def read_objects(aws: LocalAWS, bucket: str) -> list[bytes]:
    """Read all objects of a bucket."""
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]


def function(service: Service, **settings: str) -> Handler:
    """Make the pipeline function of settings, as a deployment does."""
    return overheard(make_handler(service, Setup.of(settings)))
