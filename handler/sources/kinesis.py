"""Kinesis: each record's data is a plain text, a record or an envelope. The stream is read again from the earliest failure.

The Kinesis Producer Library can aggregate many user records in one record of the stream. Each user record is a record here. Its
default id ends with its position.

IAM: kinesis:GetRecords, kinesis:GetShardIterator, kinesis:DescribeStream, kinesis:DescribeStreamSummary, kinesis:ListShards,
kinesis:ListStreams on the stream.
"""

import base64
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Failure, Origin
from handler.sources import kpl
from handler.sources.envelopes import only_from, parse_message
from handler.sources.isolation import find_text, isolate


def matches(event: object) -> bool:
    """Return whether an event is a batch of records from a data stream."""
    return only_from(event, "eventSource", "aws:kinesis")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the contents of all records."""
    for record in event["Records"]:
        name = find_text(record, "eventID")
        origin = Origin(find_text(record, "kinesis", "sequenceNumber"), record)
        yield from isolate(partial(_parse, record, name, origin, text_field), name, origin)


def _parse(record: dict[str, Any], name: str, origin: Origin, text_field: str) -> Iterator[Content]:
    return parse_data(record["kinesis"]["data"], name, origin, text_field)


def parse_data(encoded: str, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """Yield the contents of one record's data, which is base64."""
    try:
        content = base64.b64decode(encoded, validate=True)
        user_records = kpl.parse_user_records(content) if content.startswith(kpl.MAGIC) else None
    except ValueError:
        yield Failure.of(Validation("The record's data is not base64"), default_id, origin)
    except Validation as error:
        yield Failure.of(error, default_id, origin)
    else:
        if user_records is None:
            yield from _parse_text(content, default_id, origin, text_field)
            return
        for position, user_record in enumerate(user_records):
            original = {"aggregated_in": default_id, "place": position, "data": base64.b64encode(user_record).decode()}
            yield from _parse_text(user_record, f"{default_id}:{position}", replace(origin, original=original), text_field)


def _parse_text(content: bytes, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    try:
        body = content.decode()
    except ValueError:
        yield Failure.of(Validation("The record's data is not text in UTF-8"), default_id, origin)
    else:
        yield from parse_message(body, default_id, origin, text_field)
