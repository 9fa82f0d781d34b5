"""Find the CPUID instructions of a compiled x86-64 library for Linux, and make a copy of it in which they trap.

A program recognizes a processor by CPUID. Its two bytes may also be a part of another instruction. So a function with these bytes
is disassembled from its start. The library's table for unwinding has the starts (.eh_frame_hdr, Linux Standard Base).
"""

import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import capstone

CPUID = b"\x0f\xa2"
TRAP = b"\x06\xa2"
"""The bytes that replace a CPUID instruction. In 64 bits, 06 is no instruction: the kernel sends SIGILL."""
LONGEST = 15
"""The bytes of the longest instruction of x86."""
ELF64 = b"\x7fELF\x02\x01"
LOADED, UNWINDING, EXECUTABLE = 1, 0x6474E550, 1
"""Types of segments (PT_LOAD, PT_GNU_EH_FRAME) and the flag of those with code (PF_X)."""
SORTED_TABLE = b"\x03\x3b"
"""The format of a table for unwinding: a count of 4 bytes, then pairs of 4 bytes, relative to the table's own start."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a library: its place in the file and its address in memory."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int


def trapping(library: bytes) -> tuple[bytes, int]:
    """Return a library with a trap in place of each CPUID instruction, and the number of these instructions."""
    changed = bytearray(library)
    places = list(find(library))
    for place in places:
        changed[place : place + len(CPUID)] = TRAP
    return bytes(changed), len(places)


def is_library(path: Path) -> bool:
    """Return True if a file is a compiled library."""
    with path.open("rb") as file:
        return ".so" in path.name and file.read(len(ELF64)) == ELF64


def find(library: bytes) -> Iterator[int]:
    """Yield the place in the file of each CPUID instruction."""
    segments = list(_segments(library))
    starts = _function_starts(library, segments)
    for segment in segments:
        if segment.kind != LOADED or not segment.flags & EXECUTABLE:
            continue
        moved = segment.address - segment.offset
        place = library.find(CPUID, segment.offset, segment.offset + segment.size)
        while place >= 0:
            before = bisect.bisect_right(starts, place + moved)
            start = max(starts[before - 1] - moved if before else segment.offset, segment.offset)
            if _is_instruction(library, start, place):
                yield place
            place = library.find(CPUID, place + 1, segment.offset + segment.size)


def _is_instruction(library: bytes, start: int, place: int) -> bool:
    """Return True if an instruction begins at `place`, when all are disassembled from `start`."""
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    disassembler.skipdata = True
    code = library[start : place + LONGEST]
    return any(address == place for address, _, name, _ in disassembler.disasm_lite(code, start) if name == "cpuid")


def _segments(library: bytes) -> Iterator[Segment]:
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    for number in range(count):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", library, table + number * size)
        yield Segment(kind, flags, offset, address, length)


def _function_starts(library: bytes, segments: list[Segment]) -> list[int]:
    """Return the addresses at which functions start, sorted; none if the library has no table of them."""
    for segment in segments:
        if segment.kind == UNWINDING and library[segment.offset + 2 : segment.offset + 4] == SORTED_TABLE:
            (count,) = struct.unpack_from("<I", library, segment.offset + 8)
            pairs = struct.unpack_from(f"<{2 * count}i", library, segment.offset + 12)
            return [segment.address + start for start in pairs[::2]]
    return []
