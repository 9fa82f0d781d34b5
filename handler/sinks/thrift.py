"""Thrift's compact protocol, which encodes all metadata of a Parquet file: as much of it as parquet.py writes.

Law: values in, bytes out.
"""

from collections.abc import Sequence

TRUE, FALSE, I8, I32, I64, BINARY, LIST_OF, STRUCT = 1, 2, 3, 5, 6, 8, 9, 12
SHORT_LIST = 15
CONTINUED = 0x80
"""The bit that says that another byte of the number follows. Each byte has seven bits of it, the lowest first."""

type Value = tuple[int, bytes]
"""A type of the protocol, and an encoded value of that type."""


def write_varint(number: int) -> bytes:
    """Encode a number that is not negative."""
    encoded = bytearray()
    while number >= CONTINUED:
        encoded.append(number % CONTINUED | CONTINUED)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def write_int32(number: int) -> Value:
    """Encode an integer of 32 bits."""
    return I32, write_varint(number << 1)  # zigzag: our numbers are never negative


def write_int64(number: int) -> Value:
    """Encode an integer of 64 bits."""
    return I64, write_varint(number << 1)


def write_binary(content: bytes) -> Value:
    """Encode bytes, or the UTF-8 of a text."""
    return BINARY, write_varint(len(content)) + content


def write_list(kind: int, items: Sequence[bytes]) -> Value:
    """Encode a list of encoded items of one type."""
    size = len(items)
    head = bytes([size << 4 | kind]) if size < SHORT_LIST else bytes([0xF0 | kind]) + write_varint(size)
    return LIST_OF, head + b"".join(items)


def write_struct(*fields: tuple[int, Value]) -> bytes:
    """Encode fields in the order of their numbers. Each number is at most 15 above the one before."""
    encoded, last = b"", 0
    for number, (kind, value) in fields:
        encoded += bytes([number - last << 4 | kind]) + value
        last = number
    return encoded + b"\0"
