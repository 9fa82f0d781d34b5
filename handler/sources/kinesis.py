"""Kinesis: a stream's data holds a plain text, a record, or an envelope; the stream comes again from the first that is left over.

What the Kinesis Producer Library put into one record of the stream are many here, each with the place it had there in its name.

IAM: kinesis:GetRecords, kinesis:GetShardIterator, kinesis:DescribeStream, kinesis:DescribeStreamSummary, kinesis:ListShards,
kinesis:ListStreams on the stream.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from handler.errors import Validation
from handler.kinds import Event
from handler.records import Content, Failure, Origin
from handler.sources import kpl
from handler.sources.guarded import guarded, text_in
from handler.sources.reading import contents
from handler.sources.replies import Partial, first_of_stream, of_one_kind


def matches(event: object) -> bool:
    """Whether these are records of a data stream."""
    return of_one_kind(event, "eventSource", "aws:kinesis")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """What the stream's records hold."""
    for record in event["Records"]:
        name = text_in(record, "eventID")
        origin = Origin(text_in(record, "kinesis", "sequenceNumber"), record)
        yield from guarded(partial(_contents, record, name, origin, text_field), name, origin)


def _contents(record: dict[str, Any], name: str, origin: Origin, text_field: str) -> Iterator[Content]:
    return data(record["kinesis"]["data"], name, origin, text_field)


def data(encoded: str, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """What one record's data holds."""
    try:
        content = base64.b64decode(encoded, validate=True)
        found = kpl.user_records(content) if content.startswith(kpl.MAGIC) else None
    except ValueError:
        yield Failure.of(Validation("The record's data is not base64"), default_id, origin)
    except Validation as error:
        yield Failure.of(error, default_id, origin)
    else:
        if found is None:
            yield from _text(content, default_id, origin, text_field)
            return
        for place, user_record in enumerate(found):
            original = {"aggregated_in": default_id, "place": place, "data": base64.b64encode(user_record).decode()}
            yield from _text(user_record, f"{default_id}:{place}", replace(origin, original=original), text_field)


def _text(content: bytes, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    try:
        body = content.decode()
    except ValueError:
        yield Failure.of(Validation("The record's data is not text in UTF-8"), default_id, origin)
    else:
        yield from contents(body, default_id, origin, text_field)


def reply(back: Sequence[Failure]) -> Partial:
    """The earliest record that is to come again."""
    return first_of_stream(back)
