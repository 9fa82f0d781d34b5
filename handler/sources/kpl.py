"""Records that the Kinesis Producer Library aggregated: many user records in one of the stream's.

The format is AWS's "KPL Aggregated Record Format": four bytes that no text in UTF-8 begins with, a message of Protocol Buffers, and
its MD5.

Law: a pure function from bytes to bytes.
"""

import hashlib
from collections.abc import Iterator

from handler.errors import Validation

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES = 16
RECORDS, DATA = 3, 3
"""Fields of the message, and of each record in it: the others are keys, which say to which shard it went."""
VARINT, COUNTED = 0, 2
FIXED = {1: 8, 5: 4}
"""How Protocol Buffers write a value: as a number, as bytes with their number before them, as so many bytes."""
LONGEST_VARINT = 10


def user_records(content: bytes) -> list[bytes]:
    """The data of each user record in an aggregated one, which begins with MAGIC.

    Raises:
        Validation: it is damaged, or holds no record, which the library never sends.
    """
    message, digest = content[len(MAGIC) : -DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.md5(message, usedforsecurity=False).digest() != digest:
        msg = "The record begins like one that the Kinesis Producer Library aggregated, and its checksum is not right"
        raise Validation(msg)
    try:
        found = [_data(record) for record in _values(message, RECORDS)]
    except IndexError:
        msg = "The record is aggregated in a way that the Kinesis Producer Library does not: it cannot be taken apart"
        raise Validation(msg) from None
    if not found:
        msg = "The record is one that the Kinesis Producer Library aggregated, and holds no record"
        raise Validation(msg)
    return found


def _data(record: bytes) -> bytes:
    """A user record's data: of several values of a field the last counts, as in Protocol Buffers.

    Raises:
        IndexError: it has none, though the format requires it.
    """
    return list(_values(record, DATA))[-1]


def _values(message: bytes, field: int) -> Iterator[bytes]:
    """The values of a field whose values are bytes.

    Raises:
        IndexError: the message is none, or ends too soon.
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        form = tag & 7
        if form == VARINT:
            _, place = _varint(message, place)
        elif form == COUNTED:
            size, place = _varint(message, place)
            if tag >> 3 == field:
                yield message[place : place + size]
            place += size
        elif form in FIXED:
            place += FIXED[form]
        else:
            raise IndexError
    if place > len(message):
        raise IndexError


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    number = 0
    for shift in range(LONGEST_VARINT):
        byte = message[place + shift]
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:  # noqa: PLR2004 - the highest bit
            return number, place + shift + 1
    raise IndexError
