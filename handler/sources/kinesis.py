"""Kinesis: a stream's data holds a plain text, a record, or an envelope; the stream comes again from the first that is left over.

IAM: kinesis:GetRecords, kinesis:GetShardIterator, kinesis:DescribeStream, kinesis:DescribeStreamSummary, kinesis:ListShards,
kinesis:ListStreams on the stream.
"""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from handler.errors import Validation
from handler.records import Content, Failure, Origin
from handler.sources.reading import contents
from handler.sources.replies import Partial, first_of_stream, of_one_kind

NAME = "Kinesis"


def matches(event: object) -> bool:
    """Whether these are records of a data stream."""
    return of_one_kind(event, "eventSource", "aws:kinesis")


def records(event: Any, text_field: str) -> Iterator[Content]:  # noqa: ANN401 - Lambda's own type
    """What the stream's records hold."""
    for record in event["Records"]:
        kinesis = record["kinesis"]
        yield from data(kinesis["data"], record["eventID"], Origin(kinesis["sequenceNumber"], record), text_field)


def data(encoded: str, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """What one record's data holds."""
    try:
        body = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        yield Failure.of(Validation("The record's data is not text in UTF-8"), default_id, origin)
        return
    yield from contents(body, default_id, origin, text_field)


def reply(back: Sequence[Failure]) -> Partial:
    """The earliest record that is to come again."""
    return first_of_stream(back)
