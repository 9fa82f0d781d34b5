"""A file in memory."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Held:
    """A file in memory that is read in parts of a given size."""

    content: bytes
    part: int = 1 << 16
    name: str = "file"

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield parts of the size."""
        for begin in range(offset, len(self.content), self.part):
            yield self.content[begin : begin + self.part]
