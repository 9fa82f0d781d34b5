"""Aggregate records as the Kinesis Producer Library does, with Google's Protocol Buffers."""

import hashlib
from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from handler.sources import kpl

FIELD = descriptor_pb2.FieldDescriptorProto


FIELDS: dict[str, list[tuple[str, int, int, int, str]]] = {
    "AggregatedRecord": [
        ("partition_key_table", 1, FIELD.LABEL_REPEATED, FIELD.TYPE_STRING, ""),
        ("explicit_hash_key_table", 2, FIELD.LABEL_REPEATED, FIELD.TYPE_STRING, ""),
        ("records", 3, FIELD.LABEL_REPEATED, FIELD.TYPE_MESSAGE, ".kpl.Record"),
    ],
    "Record": [
        ("partition_key_index", 1, FIELD.LABEL_REQUIRED, FIELD.TYPE_UINT64, ""),
        ("explicit_hash_key_index", 2, FIELD.LABEL_OPTIONAL, FIELD.TYPE_UINT64, ""),
        ("data", 3, FIELD.LABEL_REQUIRED, FIELD.TYPE_BYTES, ""),
    ],
}
"""The messages that AWS publishes: name, number, label and type of each field."""


def _aggregated_record() -> Any:  # noqa: ANN401 - a class that Protocol Buffers make at run time
    file = descriptor_pb2.FileDescriptorProto(name="kpl.proto", package="kpl", syntax="proto2")
    for message, fields in FIELDS.items():
        made = file.message_type.add(name=message)
        for name, number, label, kind, of in fields:
            made.field.add(name=name, number=number, label=label, type=kind, type_name=of or None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kpl.AggregatedRecord"))


AGGREGATED_RECORD = _aggregated_record()


def aggregated(parts: Sequence[bytes]) -> bytes:
    """Aggregate user records in one record of a stream."""
    message = AGGREGATED_RECORD(partition_key_table=["a", "b"], explicit_hash_key_table=["1"])
    for place, part in enumerate(parts):
        message.records.add(partition_key_index=place % 2, explicit_hash_key_index=0, data=part)
    return sealed(message.SerializeToString())


def sealed(message: bytes) -> bytes:
    """Return a message with the magic bytes before it and the digest after it."""
    return kpl.MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()
