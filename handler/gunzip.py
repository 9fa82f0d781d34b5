"""Gzip, decompressed part by part in time that is linear in its bytes, however many members it has.

zlib copies what follows a member each time that one ends. A file may have a member every 20 bytes, so each is given little at
first, and twice as much while it goes on.

Law: bytes in, bytes out; how much may come out is the caller's to limit.
"""

import re
import zlib
from collections.abc import Iterable, Iterator

MAGIC = b"\x1f\x8b"
WINDOW = zlib.MAX_WBITS | 16
"""zlib's name for gzip's own header."""
FIRST_BYTES, MOST_BYTES = 64, 1 << 20
"""Given to zlib of a member: first, and at most at a time."""
NOT_PADDING = re.compile(rb"[^\0]")


class GzipError(Exception):
    """The bytes are not gzip, or damaged, or end too soon. The sentence says which."""


def gunzip(parts: Iterable[bytes], step_bytes: int) -> Iterator[bytes]:
    """What the members of a gzip file hold, one after another (RFC 1952, section 2.2), about `step_bytes` at a time.

    Zeros behind a member are padding, as gzip(1) has it.

    Raises:
        GzipError: it is damaged or not whole; all that came before was given.
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
    given = FIRST_BYTES
    for part in parts:
        view, place = memoryview(part), 0
        while place < len(part):
            if inflater.eof:
                found = NOT_PADDING.search(part, place)
                if found is None:
                    break
                inflater, given, place = zlib.decompressobj(WINDOW), FIRST_BYTES, found.start()
            piece = view[place : place + given]
            try:
                content = inflater.decompress(piece, step_bytes)
            except zlib.error:
                msg = "the gzip is damaged"
                raise GzipError(msg) from None
            place += len(piece) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
            given = min(2 * given, MOST_BYTES)
            if content:
                yield content
    if not inflater.eof:
        msg = "the gzip ends before it is whole"
        raise GzipError(msg)
