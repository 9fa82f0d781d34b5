"""What stands in a message: a record as JSON, a plain text, or an envelope of another service with one of these in it.

Law: pure functions from JSON to records; what cannot be one is a failure with its reason, never an exception.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from handler import telemetry
from handler.encoding import MOST_LEVELS, is_deeper, to_json
from handler.errors import EmbeddingError, Empty, Validation, kind
from handler.parsing import options
from handler.records import Content, Failure, Nothing, Origin, Record, StoredObject
from handler.sources.guarded import guarded
from handler.sources.numbers import with_exact_id

TEXT_FIELD = "inputs"
LONGEST_TEXT = 1 << 20
"""Characters: what fits into the largest message of SQS. Whoever sends more did not mean one text."""
SWITCHES = frozenset({"normalize", "truncate", "use_cache"})
OPTIONS = SWITCHES | {"prompt_name", "truncation_direction", "dimensions", "output_dtype"}
WORDS = {"true": True, "false": False}
LONGEST_NUMBER = 9
"""Digits, of which no vector has so many dimensions."""
KINDS_OF_EVENTS = (
    *("ObjectRemoved:", "ObjectRestore:", "ObjectTagging:", "ObjectAcl:", "LifecycleExpiration:", "LifecycleTransition"),
    *("Object Deleted", "Object Restore", "Object Storage Class Changed", "Object Tags", "Object ACL Updated", "Object Access"),
)
"""The beginnings of the names of S3's events that are not read. The log names no others."""
OURS = "embeddings-on-lambda"
"""The source of the events that the EventBridge sink puts."""

type Fields = Mapping[str, Any]


def record_of(fields: Any, default_id: str, origin: Origin, text_field: str) -> Record | Failure:  # noqa: ANN401 - whatever JSON holds
    """A record from its fields; `default_id` names one that has no `id`."""
    try:
        if not isinstance(fields, dict):
            msg = f"A record must be an object. Given: {kind(fields)}"
            raise Validation(msg)
        default_id = _id(fields, default_id)
        text = _text(fields, text_field)
        metadata = {name: value for name, value in fields.items() if name not in OPTIONS | {"id", text_field}}
        return with_metadata(Record(default_id, text, options(_meant(fields)), origin=origin), metadata)
    except EmbeddingError as error:
        return Failure.of(error, default_id, origin)


def with_metadata(record: Record, metadata: Fields) -> Record | Failure:
    """Add to a record what else it carried, or refuse it if that cannot be written: in a sink it would fail its whole shard."""
    if not metadata:
        return record
    if is_deeper(metadata, MOST_LEVELS):
        msg = f"The record is nested more than {MOST_LEVELS} levels deep, the most that is written"
        return Failure.of(Validation(msg), record.id, record.origin)
    try:
        to_json(metadata)
    except (TypeError, ValueError, RecursionError):
        msg = "The record carries something besides its text that cannot be written as JSON"
        return Failure.of(Validation(msg), record.id, record.origin)
    return replace(record, metadata=metadata)


def contents(body: str, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """What a message's body holds: an envelope's contents, a record, or, where it is no JSON object, a plain text."""
    if not body.lstrip().startswith("{"):
        yield record_of({text_field: _plain(body)}, default_id, origin, text_field)
        return
    try:
        fields = with_exact_id(json.loads(body), body)
    except (ValueError, RecursionError):
        yield Failure.of(Validation("The message begins like a JSON object and is none"), default_id, origin)
        return
    yield from opened(fields, default_id, origin, text_field)


def opened(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """What an object holds: an envelope's contents, or itself as a record."""
    for matches, open_envelope in ENVELOPES:
        if matches(fields):
            yield from guarded(partial(open_envelope, fields, default_id, origin, text_field), default_id, origin)
            return
    yield record_of(fields, default_id, origin, text_field)


def objects(event: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """The objects that S3's own notification tells of."""
    del text_field
    for record in event["Records"]:
        bucket, stored = record["s3"]["bucket"]["name"], record["s3"]["object"]
        key = unquote_plus(stored["key"])  # S3 encodes keys in its own notifications, and there only
        if not record["eventName"].startswith("ObjectCreated:"):
            telemetry.log("object_event_skipped", kind=_kind_of_event(record["eventName"]))
            yield Nothing(default_id, "deleted", origin)
            continue
        yield _stored(bucket, key, stored.get("versionId"), stored.get("eTag"), origin)


def is_notification(fields: Fields) -> bool:
    """Whether S3 tells of objects."""
    records = fields.get("Records")
    return isinstance(records, list) and bool(records) and all(_has(record, "eventSource", "aws:s3") for record in records)


def is_test(fields: Fields) -> bool:
    """Whether S3 tries whether its notifications arrive, as it does once when they are configured."""
    return fields.get("Event") == "s3:TestEvent" and fields.keys() == {"Service", "Event", "Time", "Bucket", "RequestId", "HostId"}


def is_eventbridge(fields: Fields) -> bool:
    """Whether this is an event of a bus."""
    return {"detail-type", "source", "detail", "account", "region", "time"} <= fields.keys()


def from_eventbridge(event: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """The object that S3 tells of through EventBridge, else the event's detail as a record."""
    default_id = str(event.get("id") or default_id)
    detail = event["detail"]
    if event["source"] == OURS:
        telemetry.log("own_event_skipped")
        yield Nothing(default_id, "ours", origin)
    elif event["source"] == "aws.s3":
        if event["detail-type"] != "Object Created":
            telemetry.log("object_event_skipped", kind=_kind_of_event(event["detail-type"]))
            yield Nothing(default_id, "deleted", origin)
            return
        stored = detail["object"]
        yield _stored(detail["bucket"]["name"], stored["key"], stored.get("version-id"), stored.get("etag"), origin)
    else:
        yield record_of(detail, default_id, origin, text_field)


def _kind_of_event(name: object) -> str:
    """Return the beginning of an event's name if S3 has such an event; a sender may write anything in its place."""
    found = (known for known in KINDS_OF_EVENTS if isinstance(name, str) and name.startswith(known))
    return next(found, "another")


def continuation_of(stored: StoredObject, offset: int) -> dict[str, Any]:
    """The message that has an object gone on with from the byte `offset`."""
    place = {"bucket": stored.bucket, "key": stored.key, "version": stored.version, "etag": stored.etag, "offset": offset}
    return {"continuation": place}


def _continued(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    del text_field
    match fields["continuation"]:
        case {"bucket": bucket, "key": key, "version": version, "etag": etag, "offset": int(offset)} if offset >= 0:
            yield _stored(bucket, key, version, etag, origin, offset)
        case _:
            yield Failure.of(Validation("`continuation` must have bucket, key, version, etag and offset"), default_id, origin)


def _from_sns(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    return contents(fields["Message"], str(fields.get("MessageId") or default_id), origin, text_field)


def _nothing(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    del fields, text_field
    yield Nothing(default_id, "test", origin)


def _stored(bucket: object, key: object, version: object, etag: object, origin: Origin, offset: int = 0) -> StoredObject:
    """An object to read.

    Raises:
        TypeError: a part of its address is no string.
    """
    match bucket, key, version, etag:
        case str(bucket), str(key), str() | None as version, str() | None as etag:
            return StoredObject(bucket, key, version, etag, offset, origin)
    raise TypeError


type Open = Callable[[Fields, str, Origin, str], Iterator[Content]]

ENVELOPES: tuple[tuple[Callable[[Fields], bool], Open], ...] = (
    (is_test, _nothing),
    (is_notification, objects),
    (is_eventbridge, from_eventbridge),
    (lambda fields: fields.get("Type") == "Notification" and isinstance(fields.get("Message"), str), _from_sns),
    (lambda fields: fields.keys() == {"continuation"}, _continued),
)


def _has(record: object, name: str, value: str) -> bool:
    return isinstance(record, dict) and record.get(name) == value


def _plain(body: str) -> str:
    """A text as it stands, or the one that a JSON string holds."""
    if body.lstrip().startswith('"'):
        try:
            text = json.loads(body)
        except ValueError:
            return body
        return text if isinstance(text, str) else body
    return body


def _meant(fields: Fields) -> dict[str, Any]:
    """The options among the fields; CSV has them all as strings, and an empty one says nothing."""
    return {name: _option(name, fields[name]) for name in OPTIONS & fields.keys() if fields[name] != ""}


def _option(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str) and name in SWITCHES:
        return WORDS.get(value.lower(), value)
    if isinstance(value, str) and name == "dimensions" and value.isdecimal() and len(value) <= LONGEST_NUMBER:
        return int(value)
    return value


def _id(fields: Fields, default: str) -> str:
    value = fields.get("id")
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        msg = f"`id` must be a string or a number. Given: {kind(value)}"
        raise Validation(msg)
    if isinstance(value, float) and not math.isfinite(value):
        msg = "`id` must be a finite number or a string"
        raise Validation(msg)
    name = str(value)
    try:
        name.encode()
    except UnicodeEncodeError:
        msg = "`id` has half of a surrogate pair, which UTF-8 cannot carry: two such ids could become one"
        raise Validation(msg) from None
    return name


def _text(fields: Fields, name: str) -> str:
    if name not in fields or fields[name] is None:
        msg = f"`{name}` is missing"
        raise Empty(msg)
    text = fields[name]
    if not isinstance(text, str):
        msg = f"`{name}` must be a string. Given: {kind(text)}"
        raise Validation(msg)
    if not text.strip():
        msg = f"`{name}` cannot be empty"
        raise Empty(msg)
    if len(text) > LONGEST_TEXT:
        msg = f"`{name}` has {len(text)} characters > {LONGEST_TEXT}, the most of one record"
        raise Validation(msg)
    return text
