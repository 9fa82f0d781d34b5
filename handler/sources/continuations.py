"""Objects of S3 for the pipeline: their records, and the queue to which the rest of an object is deferred.

IAM: s3:GetObject and s3:GetObjectVersion on the objects, s3:ListBucket on their bucket; sqs:SendMessage on the continuation queue.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from urllib.parse import urlsplit

from handler import telemetry
from handler.aws import Client, connect, error_name
from handler.errors import Validation
from handler.pipeline.ports import ObjectLine, ObjectStore, WholeObject
from handler.pipeline_settings import PipelineSettings
from handler.records import Failure, Origin, StoredObject
from handler.sources.documents import TEXT, find_document_kind
from handler.sources.envelopes import continuation_of
from handler.sources.record_parsing import parse_record
from handler.sources.s3_objects import Forbidden, find_etag, read_fields
from handler.sources.whole_objects import read_whole

READ_SECONDS, ATTEMPTS = 10, 3
BUCKET_SLASHES = 2
"""The slashes of `s3://bucket`."""


def make_object_store(settings: PipelineSettings, client_of: Callable[[str], Client] | None = None) -> ObjectStore:
    """Make the object store of a pipeline. It reads objects, defers the rest of an object, and recognizes the pipeline's output.

    Args:
        settings: where objects are read and written.
        client_of: makes the client of a service; tests pass their own.
    """
    outputs = [f"{place.partition('?')[0].rstrip('/')}/" for place in settings.outputs.values() if place.startswith("s3://")]
    inputs = [place if place.count("/") > BUCKET_SLASHES else f"{place}/" for place in settings.inputs if place.startswith("s3://")]
    client = cache(client_of or (lambda service: connect(service, read_seconds=READ_SECONDS, attempts=ATTEMPTS)))

    def defer(stored: StoredObject, offset: int) -> bool:
        if not settings.continuation_queue:
            telemetry.log("not_continued", uri=stored.uri, offset=offset, reason="CONTINUATION_QUEUE is not set")
            return False
        return send_rest(client("sqs"), settings.continuation_queue, stored, offset)

    @contextmanager
    def only_in_input(stored: StoredObject) -> Iterator[None]:
        """Retry an object that S3 forbids to read only if it is in INPUT: a message can name any object."""
        try:
            yield
        except Forbidden as error:
            if any(stored.uri.startswith(place) for place in inputs):
                raise  # the right to read it may still be granted
            msg = f"{error}; INPUT does not name it either"
            raise Validation(msg) from error

    def read(stored: StoredObject) -> Iterator[ObjectLine]:
        with only_in_input(stored):
            yield from records(client("s3"), stored, settings.text_field)

    def kind_of(stored: StoredObject) -> str | None:
        return find_document_kind(stored.key, is_text_document=settings.chunking.tokens > 0)

    def read_document(stored: StoredObject) -> WholeObject:
        with only_in_input(stored):
            return read_whole(client("s3"), stored, kind_of(stored) or TEXT, settings.text_field)

    return ObjectStore(
        lines=read,
        defer=defer,
        is_output=lambda stored: any(stored.uri.startswith(place) for place in outputs),
        is_document=lambda stored: kind_of(stored) is not None,
        read_whole=read_document,
        find_etag=lambda stored: find_etag(client("s3"), stored),
    )


def records(client: Client, stored: StoredObject, text_field: str) -> Iterator[ObjectLine]:
    """Yield the records of an object, from its offset on. The origin of a record has its place in the object, not its text.

    Raises:
        Validation, Backend: for the same reasons as s3_objects.read_fields.
    """
    for start, end, fields in read_fields(client, stored, text_field):
        place = {
            "bucket": stored.bucket,
            "key": stored.key,
            "version": stored.version,
            "etag": stored.etag,
            "start": start,
            "end": end,
        }
        origin = Origin(stored.origin.message, place)
        if isinstance(fields, Failure):
            yield ObjectLine(start, end, replace(fields, origin=origin))
        else:
            yield ObjectLine(start, end, parse_record(fields, str(start), origin, text_field))


def send_rest(client: Client, queue: str, stored: StoredObject, offset: int) -> bool:
    """Send the message that resumes an object at the byte `offset`; return whether the queue accepted it."""
    body = json.dumps(continuation_of(stored, offset), sort_keys=True, allow_nan=False)
    fifo = {}
    if urlsplit(queue).path.endswith(".fifo"):
        digest = hashlib.sha256(body.encode()).hexdigest()
        fifo = {"MessageGroupId": hashlib.sha256(stored.uri.encode()).hexdigest(), "MessageDeduplicationId": digest}
    try:
        is_sent = bool(client.send_message(QueueUrl=queue, MessageBody=body, **fifo).get("MessageId"))
    except Exception as error:  # noqa: BLE001 - after any error at all, the message may not have been sent
        telemetry.log("not_continued", uri=stored.uri, offset=offset, reason=error_name(error))
        return False
    telemetry.log("continued", uri=stored.uri, offset=offset)
    return is_sent
