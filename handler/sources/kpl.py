"""Aggregated records of the Kinesis Producer Library (KPL): one record of a stream that contains many user records.

AWS publishes the format as "KPL Aggregated Record Format": four bytes that are not valid UTF-8, a Protocol Buffers message, and the
MD5 digest of the message.

Law: pure functions from bytes to bytes.
"""

import hashlib
from collections.abc import Iterator

from handler.errors import Validation

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES = 16
RECORDS, DATA = 3, 3
"""The numbers of two fields: `records` in the message, and `data` in each record. The other fields describe shards."""
VARINT, LENGTH_DELIMITED = 0, 2
FIXED = {1: 8, 5: 4}
"""The wire types of Protocol Buffers: a varint, a length followed by that many bytes, and types with a fixed number of bytes."""
LONGEST_VARINT = 10


def parse_user_records(content: bytes) -> list[bytes]:
    """Return the data of each user record in an aggregated record, which begins with MAGIC.

    Raises:
        Validation: it is damaged, or holds no user record, which the library never sends.
    """
    message, digest = content[len(MAGIC) : -DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.md5(message, usedforsecurity=False).digest() != digest:
        msg = "The record begins like one that the Kinesis Producer Library aggregated, but its checksum is wrong"
        raise Validation(msg)
    try:
        found = [_data(record) for record in _values(message, RECORDS)]
    except IndexError:
        msg = "The record has the checksum of one that the Kinesis Producer Library aggregated, but not its format"
        raise Validation(msg) from None
    if not found:
        msg = "The record is one that the Kinesis Producer Library aggregated, but it holds no record"
        raise Validation(msg)
    return found


def _data(record: bytes) -> bytes:
    """Return a user record's data. If a field has several values, Protocol Buffers take the last.

    Raises:
        IndexError: there is no data, though the format requires it.
    """
    return list(_values(record, DATA))[-1]


def _values(message: bytes, field: int) -> Iterator[bytes]:
    """Yield the values of a field of bytes.

    Raises:
        IndexError: this is no Protocol Buffers message, or it ends too soon.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == VARINT:
            _, position = _varint(message, position)
        elif wire_type == LENGTH_DELIMITED:
            size, position = _varint(message, position)
            if tag >> 3 == field:
                yield message[position : position + size]
            position += size
        elif wire_type in FIXED:
            position += FIXED[wire_type]
        else:
            raise IndexError
    if position > len(message):
        raise IndexError


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Read a number of seven bits in each byte, the lowest bits first; return it and the position after it."""
    number = 0
    for shift in range(LONGEST_VARINT):
        byte = message[position + shift]
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:  # noqa: PLR2004 - without the highest bit, this is the last byte
            return number, position + shift + 1
    raise IndexError
