"""Decompress gzip part by part. The time is linear in the number of bytes, for any number of members in the file.

At the end of each member, zlib copies the rest of its input. A file may have a member every 20 bytes, so the first input of each
member is small, and each further input is twice as large.

Law: bytes in, bytes out; the caller limits the decompressed size.
"""

import re
import zlib
from collections.abc import Iterable, Iterator

MAGIC = b"\x1f\x8b"
WINDOW = zlib.MAX_WBITS | 16
"""The window size of zlib, with the bit that makes it expect gzip's header."""
FIRST_BYTES, MOST_BYTES = 64, 1 << 20
"""The sizes of zlib's first input for a member, and of its largest."""
NOT_PADDING = re.compile(rb"[^\0]")


class GzipError(Exception):
    """The bytes are not gzip, are damaged or end too soon. The sentence says which of these it is."""


def gunzip(parts: Iterable[bytes], step_bytes: int) -> Iterator[bytes]:
    """Yield the content of all members of a gzip file in order (RFC 1952, section 2.2), about `step_bytes` at a time.

    Zeros after a member are padding, as for gzip(1).

    Raises:
        GzipError: the file is damaged or incomplete. Everything before that place has been yielded.
    """
    held = bytearray()
    members = _members(parts, step_bytes)
    while True:
        try:
            content = next(members, None)
        except GzipError:
            if held:
                yield bytes(held)
            raise
        held += content or b""
        if held and (content is None or len(held) >= step_bytes):
            yield bytes(held)
            held.clear()
        if content is None:
            return


def _members(parts: Iterable[bytes], step_bytes: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(WINDOW)
    input_bytes = FIRST_BYTES
    for part in parts:
        view, place = memoryview(part), 0
        while place < len(part):
            if inflater.eof:
                found = NOT_PADDING.search(part, place)
                if found is None:
                    break
                inflater, input_bytes, place = zlib.decompressobj(WINDOW), FIRST_BYTES, found.start()
            piece = view[place : place + input_bytes]
            try:
                content = inflater.decompress(piece, step_bytes)
            except zlib.error:
                msg = "the gzip is damaged"
                raise GzipError(msg) from None
            place += len(piece) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
            input_bytes = min(2 * input_bytes, MOST_BYTES)
            if content:
                yield content
    if not inflater.eof:
        msg = "the gzip ends before it is whole"
        raise GzipError(msg)
