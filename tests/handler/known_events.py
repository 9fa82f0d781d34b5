"""The events in events/, and events that no function of ours takes."""

import json
from typing import Any

from tests.conftest import ROOT

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
"""Each event in events/, by the name of its file."""
HTTP_EVENTS = ("http_api_v2", "rest_v1", "function_url", "alb")

NOT_HTTP: dict[str, dict[str, Any]] = {
    "SQS": {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    "Lambda Destinations": {
        "version": "1.0",
        "requestContext": {"condition": "Success"},
        "requestPayload": {},
        "responsePayload": {},
    },
    "VPC Lattice": {
        "version": "2.0",
        "path": "/",
        "method": "POST",
        "requestContext": {"serviceNetworkArn": "arn:aws:vpc-lattice"},
    },
    "HTTP API authorizer": {"version": "2.0", "type": "REQUEST", "routeArn": "arn", "requestContext": {"http": {"method": "POST"}}},
    "REST authorizer": {
        "type": "REQUEST",
        "methodArn": "arn",
        "resource": "/",
        "httpMethod": "POST",
        "requestContext": {"stage": "v1"},
    },
    "WebSocket": {"requestContext": {"eventType": "MESSAGE", "connectionId": "a"}, "body": "{}"},
    "nothing": {},
}
"""Events that the HTTP function refuses, some of which look like HTTP requests."""
STRANGERS: dict[str, Any] = {name: event for name, event in NOT_HTTP.items() if name != "SQS"} | {
    "CloudWatch Logs": {"awslogs": {"data": "H4sI"}},
    "Kafka without partitions": {"eventSource": "aws:kafka", "records": {}, "bootstrapServers": "b"},
    "Amazon MQ": {"eventSource": "aws:mq", "messages": []},
    "Amazon MQ, older name": {"eventSource": "aws:amq", "messages": []},
    "a tumbling window": EVENTS["kinesis"] | {"window": {}, "state": {}, "isFinalInvokeForWindow": False},
    "Firehose": {"invocationId": "i", "deliveryStreamArn": "arn", "region": "us-east-1", "records": []},
    "VPC Lattice, first version": {"raw_path": "/", "method": "POST", "headers": {}, "query_string_parameters": {}},
    "two sources at once": {"Records": [EVENTS["sqs"]["Records"][0], EVENTS["s3"]["Records"][0]]},
    "no records": {"Records": []},
    "SES": {"Records": [{"eventSource": "aws:ses", "ses": {}}]},
    "a number": 3,
    "nothing at all": None,
}
"""Events that the pipeline function refuses."""
