"""Message bodies: a record as JSON, a plain text, or an envelope (an event of another service that was sent as a message).

Law: pure functions; a body that holds no record gives a failure with the reason, never an exception.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from handler import telemetry
from handler.errors import Validation
from handler.records import Content, Failure, Origin, Skipped, StoredObject
from handler.sources.exact_numbers import restore_exact_id
from handler.sources.isolation import isolate
from handler.sources.record_parsing import Fields, parse_record

CREATED, REMOVED = "ObjectCreated:", ("ObjectRemoved:", "LifecycleExpiration:")
"""The beginnings of the names of S3's own events about objects that were created or deleted."""
OBJECT_DELETED = "Object Deleted"
OBJECT_EVENTS = ("Object Created", OBJECT_DELETED)
"""The same events' names in EventBridge."""
SKIPPED_EVENTS = (
    *("ObjectRestore:", "ObjectTagging:", "ObjectAcl:", "LifecycleTransition"),
    *("Object Restore", "Object Storage Class Changed", "Object Tags", "Object ACL Updated", "Object Access"),
)
"""The beginnings of the names of S3's events that are skipped. Only these names are logged."""
OWN_SOURCE = "embeddings-on-lambda"
"""The source of the events that the EventBridge sink puts."""


def parse_message(body: str, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """Yield the contents of a message's body. A body that is no JSON object is a plain text."""
    if not body.lstrip().startswith("{"):
        if count := _count_listed(body):
            msg = f"A message must hold one text or one record. Given: a JSON list of {count}. Send one message for each"
            yield Failure.of(Validation(msg), default_id, origin)
        else:
            yield parse_record({text_field: _plain(body)}, default_id, origin, text_field)
        return
    try:
        fields = restore_exact_id(json.loads(body), body)
    except (ValueError, RecursionError):
        yield Failure.of(Validation("The message begins like a JSON object, but is not JSON"), default_id, origin)
        return
    yield from open_envelope(fields, default_id, origin, text_field)


def open_envelope(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """Yield the contents of an envelope. An object that is no envelope is itself a record."""
    for matches, read in ENVELOPES:
        if matches(fields):
            yield from isolate(partial(read, fields, default_id, origin, text_field), default_id, origin)
            return
    yield parse_record(fields, default_id, origin, text_field)


def only_from(event: object, field: str, source: str) -> bool:
    """Return whether an event has only a list of `Records`, each of which has `source` in its `field`."""
    records = event.get("Records") if isinstance(event, dict) and len(event) == 1 else None
    return _all_have(records, field, source)


def is_notification(fields: Fields) -> bool:
    """Return whether this is a notification that S3 sends itself, not through EventBridge."""
    return _all_have(fields.get("Records"), "eventSource", "aws:s3")


def is_test(fields: Fields) -> bool:
    """Return whether this is the test event that S3 sends once when notifications are configured."""
    return fields.get("Event") == "s3:TestEvent" and fields.keys() == {"Service", "Event", "Time", "Bucket", "RequestId", "HostId"}


def is_eventbridge(fields: Fields) -> bool:
    """Return whether this is an event of an EventBridge bus."""
    return {"detail-type", "source", "detail", "account", "region", "time"} <= fields.keys() and "eventSource" not in fields


def read_eventbridge(event: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    """Yield the object that S3 reports through EventBridge. For any other source, yield the event's detail as a record."""
    default_id = str(event.get("id") or default_id)
    detail = event["detail"]
    if event["source"] == OWN_SOURCE:
        telemetry.log("own_event_skipped")
        yield Skipped(default_id, "ours", origin)
    elif event["source"] == "aws.s3":
        if event["detail-type"] not in OBJECT_EVENTS:
            telemetry.log("object_event_skipped", kind=_name_to_log(event["detail-type"]))
            yield Skipped(default_id, "deleted", origin)
            return
        stored = detail["object"]
        found = _stored(detail["bucket"]["name"], stored["key"], stored.get("version-id"), stored.get("etag"), origin)
        yield _reported(found, stored, is_deleted=event["detail-type"] == OBJECT_DELETED)
    else:
        yield parse_record(detail, default_id, origin, text_field)


def continuation_of(stored: StoredObject, offset: int) -> dict[str, Any]:
    """Return the message that makes this function resume an object at the byte `offset`."""
    place = {"bucket": stored.bucket, "key": stored.key, "version": stored.version, "etag": stored.etag, "offset": offset}
    of_event = {"deleted": stored.is_deleted, "sequencer": stored.sequencer} if stored.sequencer or stored.is_deleted else {}
    return {"continuation": place | of_event}


def _read_notification(event: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    del text_field
    for record in event["Records"]:
        bucket, stored = record["s3"]["bucket"]["name"], record["s3"]["object"]
        key = unquote_plus(stored["key"])  # S3 encodes keys in its own notifications, but not in EventBridge's events
        if not record["eventName"].startswith((CREATED, *REMOVED)):
            telemetry.log("object_event_skipped", kind=_name_to_log(record["eventName"]))
            yield Skipped(default_id, "deleted", origin)
            continue
        found = _stored(bucket, key, stored.get("versionId"), stored.get("eTag"), origin)
        yield _reported(found, stored, is_deleted=not record["eventName"].startswith(CREATED))


def _read_continuation(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    del text_field
    match fields["continuation"]:
        case {"bucket": bucket, "key": key, "version": version, "etag": etag, "offset": int(offset)} if offset >= 0:
            found = _stored(bucket, key, version, etag, origin, offset)
            place = fields["continuation"]
            yield _reported(found, place, is_deleted=place.get("deleted") is True)
        case _:
            yield Failure.of(Validation("`continuation` must have bucket, key, version, etag and offset"), default_id, origin)


def _read_sns(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    return parse_message(fields["Message"], str(fields.get("MessageId") or default_id), origin, text_field)


def _read_test(fields: Fields, default_id: str, origin: Origin, text_field: str) -> Iterator[Content]:
    del fields, text_field
    yield Skipped(default_id, "test", origin)


def _stored(bucket: object, key: object, version: object, etag: object, origin: Origin, offset: int = 0) -> StoredObject:
    """Make a stored object of the parts of its address.

    Raises:
        TypeError: a part is not a string.
    """
    match bucket, key, version, etag:
        case str(bucket), str(key), str() | None as version, str() | None as etag:
            return StoredObject(bucket, key, version, etag, offset, origin)
    raise TypeError


def _reported(stored: StoredObject, facts: Fields, *, is_deleted: bool) -> StoredObject | Skipped:
    """Add what an event says about an object: whether it was deleted, and the place of the event among those of the object.

    An empty object whose key ends in a slash is skipped: the console of S3 makes one to show a folder.
    """
    if stored.key.endswith("/") and facts.get("size") == 0:
        return Skipped(stored.uri, "folder", stored.origin)
    sequencer = facts.get("sequencer")
    return replace(stored, sequencer=sequencer if isinstance(sequencer, str) else "", is_deleted=is_deleted)


type Reader = Callable[[Fields, str, Origin, str], Iterator[Content]]

ENVELOPES: tuple[tuple[Callable[[Fields], bool], Reader], ...] = (
    (is_test, _read_test),
    (is_notification, _read_notification),
    (is_eventbridge, read_eventbridge),
    (lambda fields: fields.get("Type") == "Notification" and isinstance(fields.get("Message"), str), _read_sns),
    (lambda fields: fields.keys() == {"continuation"}, _read_continuation),
)
"""The kinds of envelopes, in the order in which they are tried."""


def _all_have(records: object, field: str, value: str) -> bool:
    """Return whether this is a list of at least one object, each with this value in this field."""
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(record, dict) and record.get(field) == value for record in records)
    )


def _name_to_log(event_name: object) -> str:
    """Return the beginning of an event's name if S3 has such an event. Nothing else is logged: a sender may write any name."""
    found = (known for known in SKIPPED_EVENTS if isinstance(event_name, str) and event_name.startswith(known))
    return next(found, "another")


def _count_listed(body: str) -> int:
    """Return the length of a JSON list of texts or records; 0 if the body is none. A text may begin like a list."""
    if not body.lstrip().startswith("["):
        return 0
    try:
        listed = json.loads(body)
    except (ValueError, RecursionError):
        return 0
    return len(listed) if all(isinstance(one, str | dict) for one in listed) else 0


def _plain(body: str) -> str:
    """Return a plain text: the content of a JSON string, or else the body itself."""
    if body.lstrip().startswith('"'):
        try:
            text = json.loads(body)
        except ValueError:
            return body
        return text if isinstance(text, str) else body
    return body
