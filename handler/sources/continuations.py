"""Objects of S3 as a pipeline reads them, and the queue to which what is left of one is deferred.

IAM: s3:GetObject and s3:GetObjectVersion on the objects, s3:ListBucket on their bucket; sqs:SendMessage on the continuation queue.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from urllib.parse import urlsplit

from handler import telemetry
from handler.aws import Client, connect, error_name
from handler.config import PipelineSettings
from handler.errors import Validation
from handler.pipeline.ports import ObjectLine, ObjectStore
from handler.records import Failure, Origin, StoredObject
from handler.sources.objects import Forbidden, lines
from handler.sources.reading import continuation_of, record_of

READ_SECONDS, ATTEMPTS = 10, 3
BUCKET_SLASHES = 2
"""Of `s3://bucket`."""


def objects_of(settings: PipelineSettings, client_of: Callable[[str], Client] | None = None) -> ObjectStore:
    """Make what reads objects, defers the rest of one, and knows this pipeline's own output.

    Args:
        settings: where objects are read and written.
        client_of: makes the client of a service; tests hand in their own.
    """
    outputs = [f"{place.partition('?')[0].rstrip('/')}/" for place in settings.outputs.values() if place.startswith("s3://")]
    inputs = [place if place.count("/") > BUCKET_SLASHES else f"{place}/" for place in settings.inputs if place.startswith("s3://")]
    client = cache(client_of or (lambda service: connect(service, read_seconds=READ_SECONDS, attempts=ATTEMPTS)))

    def defer(stored: StoredObject, offset: int) -> bool:
        if not settings.continuation_queue:
            telemetry.log("not_continued", uri=stored.uri, offset=offset, reason="CONTINUATION_QUEUE is not set")
            return False
        return send_rest(client("sqs"), settings.continuation_queue, stored, offset)

    def read(stored: StoredObject) -> Iterator[ObjectLine]:
        """Read an object's records. A message can name any object: one that may not be read and is not in INPUT is final."""
        try:
            yield from records(client("s3"), stored, settings.text_field)
        except Forbidden as error:
            if any(stored.uri.startswith(place) for place in inputs):
                raise  # a right that is missing for now
            msg = f"{error}; INPUT does not name it either"
            raise Validation(msg) from error

    return ObjectStore(
        lines=read,
        defer=defer,
        is_output=lambda stored: any(stored.uri.startswith(place) for place in outputs),
    )


def records(client: Client, stored: StoredObject, text_field: str) -> Iterator[ObjectLine]:
    """The lines of an object as records, from its offset on. Their failures name the place instead of quoting it.

    Raises:
        As handler.sources.objects.lines.
    """
    for start, end, fields in lines(client, stored, text_field):
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
            yield ObjectLine(start, end, record_of(fields, str(start), origin, text_field))


def send_rest(client: Client, queue: str, stored: StoredObject, offset: int) -> bool:
    """Send what goes on with an object at a byte; whether the queue took it."""
    body = json.dumps(continuation_of(stored, offset), sort_keys=True, allow_nan=False)
    fifo = {}
    if urlsplit(queue).path.endswith(".fifo"):
        digest = hashlib.sha256(body.encode()).hexdigest()
        fifo = {"MessageGroupId": hashlib.sha256(stored.uri.encode()).hexdigest(), "MessageDeduplicationId": digest}
    try:
        sent = bool(client.send_message(QueueUrl=queue, MessageBody=body, **fifo).get("MessageId"))
    except Exception as error:  # noqa: BLE001 - whatever befalls the call, the message was not surely sent
        telemetry.log("not_continued", uri=stored.uri, offset=offset, reason=error_name(error))
        return False
    telemetry.log("continued", uri=stored.uri, offset=offset)
    return sent
