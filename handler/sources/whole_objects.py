"""Objects of S3 that are one document each: their current state, and the record that it is.

IAM: s3:GetObject on the objects, s3:ListBucket on their bucket. Without s3:ListBucket, S3 does not say that an object was deleted.
"""

from dataclasses import replace

from handler.aws import Client
from handler.errors import Backend, Validation
from handler.pipeline.ports import WholeObject
from handler.records import Failure, Origin, StoredObject
from handler.sources.documents import read_document
from handler.sources.record_parsing import parse_record
from handler.sources.s3_objects import ObjectContent, find_etag


def read_whole(client: Client, stored: StoredObject, kind: str, text_field: str) -> WholeObject:
    """Return the current state of an object that is one document of this kind. Its id is its key.

    Raises:
        Backend: S3 cannot be reached or fails, or the object changed while it was read.
        Validation: no object can have this address.
    """
    etag = find_etag(client, stored)
    if etag is None:
        return WholeObject(None, None)
    state = replace(stored, version=None, etag=etag, offset=0)
    origin = Origin(stored.origin.message, {"bucket": stored.bucket, "key": stored.key, "etag": etag}, stored.origin.group)
    try:
        fields = read_document(ObjectContent(client, state).read(0), stored.key, kind, text_field)
    except Validation as error:
        if find_etag(client, stored) != etag:
            msg = f"{stored.uri} changed while it was read"
            raise Backend(msg) from error
        return WholeObject(etag, Failure.of(error, stored.key, origin))
    if not fields[text_field].strip():
        return WholeObject(etag, None)
    record = parse_record(fields, stored.key, origin, text_field)
    return WholeObject(etag, record if isinstance(record, Failure) else replace(record, sequencer=stored.sequencer))
