"""How far an embedding of a file is, written down so that another run can go on from there.

A state is written when all that it tells of is on the disk. Whatever a kill leaves, what the last whole line says holds.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SAMPLE_BYTES = 64 * 1024
"""Of each end of the input, by which a changed one is known."""


class Refused(Exception):  # noqa: N818 - a sentence for whoever called
    """The command cannot be done, and why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A state that can be gone on from: how far the input was read, and what the files had by then."""

    read: int = 0
    written: int = 0
    failures_written: int = 0
    vectors: int = 0
    failures: int = 0
    part: Any = None


@dataclass(slots=True)
class Progress:
    """OUT.progress: the states one after the other."""

    path: Path
    marks: list[Mark] = field(default_factory=lambda: [Mark()])

    @property
    def last(self) -> Mark:
        """Where to go on."""
        return self.marks[-1]

    def open(self, made_of: Mapping[str, Any]) -> None:
        """Take up what was done of this input with this model, or begin.

        Raises:
            Refused: something else was begun under the same name.
        """
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        # A line that a kill cut off has no end, and tells of what may not be whole.
        found = [json.loads(line) for line in lines[:-1]]
        if not found:
            self._append({"of": made_of}, "wb")
            return
        before = found[0]["of"]
        changed = [name for name in made_of if made_of[name] != before.get(name)]
        if changed:
            msg = (
                f"{self.path} tells of work begun with another {' and another '.join(changed)}. "
                "Give what was given then to go on with it, or delete it to begin anew"
            )
            raise Refused(msg)
        self.marks += [Mark(**line) for line in found[1:]]
        with self.path.open("r+b") as file:
            file.truncate(sum(len(line) + 1 for line in lines[:-1]))

    def reached(self, mark: Mark) -> None:
        """Write one more state down."""
        self.marks.append(mark)
        self._append(asdict(mark), "ab")

    def _append(self, line: Mapping[str, Any], mode: str) -> None:
        with self.path.open(mode) as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def fingerprint(path: Path) -> str:
    """What tells a file from another, and from itself after a change: its size, and both of its ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(SAMPLE_BYTES)
        file.seek(max(0, size - SAMPLE_BYTES))
        return hashlib.sha256(b"%d " % size + first + file.read()).hexdigest()
