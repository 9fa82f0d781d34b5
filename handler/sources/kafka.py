"""Kafka, from Amazon MSK or self-managed brokers: a record's value is a plain text, a record as JSON, or an envelope.

The messages of a partition are written in their order. Lambda retries a partition from the first offset that the reply names
(Lambda developer guide, "Configuring error handling controls for Kafka event sources"). The event source mapping must have
`FunctionResponseTypes: [ReportBatchItemFailures]`, which needs provisioned mode. Otherwise Lambda treats every reply as a success.

IAM, for MSK: kafka:DescribeClusterV2, kafka:GetBootstrapBrokers, and for Lambda's access to the VPC ec2:CreateNetworkInterface,
ec2:DescribeNetworkInterfaces, ec2:DescribeVpcs, ec2:DeleteNetworkInterface, ec2:DescribeSubnets, ec2:DescribeSecurityGroups.
"""

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Failure, Origin, Skipped
from handler.sources.envelopes import parse_message
from handler.sources.isolation import isolate
from handler.sources.replies import BatchItemFailures, name_failures

SERVICES = ("aws:kafka", "SelfManagedKafka")
NO_OFFSET = -1
"""An offset that no record has. Lambda retries the whole batch if a reply names an offset that the event does not have."""


def matches(event: object) -> bool:
    """Return True if the event has records of Kafka partitions."""
    if not isinstance(event, dict) or event.get("eventSource") not in list(SERVICES):
        return False
    partitions = event.get("records")
    return isinstance(partitions, dict) and bool(partitions) and all(isinstance(found, list) for found in partitions.values())


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the contents of all records. The id of a record without an `id` is its partition and offset."""
    for partition, found in event["records"].items():
        for record in found:
            offset = offset_of(record)
            name, origin = f"{partition}:{offset}", Origin(offset, record, group=partition)
            yield from isolate(partial(parse_value, record, name, origin, text_field), name, origin)


def parse_value(record: dict[str, Any], name: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """Return the contents of a record's value, which is base64.

    Raises:
        Validation: the value is no base64, or no text.
    """
    value = record["value"]
    if value is None:  # a tombstone, with which a compacted topic deletes a key
        return iter([Skipped(name, "no value", origin)])
    try:
        body = base64.b64decode(value, validate=True).decode()
    except ValueError:
        msg = "The record's value is not text in UTF-8, encoded as base64"
        raise Validation(msg) from None
    return parse_message(body, name, origin, text_field)


def offset_of(record: object) -> int:
    """Return a record's offset in its partition, or NO_OFFSET if it has none."""
    offset = record.get("offset") if isinstance(record, dict) else None
    return offset if isinstance(offset, int) and not isinstance(offset, bool) else NO_OFFSET


def name_first_of_partitions(failures: Sequence[Failure]) -> BatchItemFailures:
    """Name the first offset to retry of each partition."""
    first: dict[str, int] = {}
    for failure in failures:
        partition, offset = failure.origin.group or "", cast("int", failure.origin.message)
        first[partition] = min(offset, first.get(partition, offset))
    return name_failures({"partition": partition, "offset": offset} for partition, offset in first.items())
