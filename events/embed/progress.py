"""The record of the progress of embedding a file, from which another run resumes.

A state is recorded after all bytes that it counts are on the disk. So the last complete line is true, whenever the process is
killed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SAMPLE_BYTES = 64 * 1024
"""The bytes at each end of a file that its fingerprint covers."""


class Refused(Exception):  # noqa: N818 - its text is for whoever ran the command
    """The command cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A state from which a run can resume: the offset up to which the input was read, and what the output files had by then."""

    read: int = 0
    written: int = 0
    failures_written: int = 0
    vectors: int = 0
    failures: int = 0
    part: Any = None


@dataclass(slots=True)
class Progress:
    """The file OUT.progress: one state after the other."""

    path: Path
    marks: list[Mark] = field(default_factory=lambda: [Mark()])

    @property
    def last(self) -> Mark:
        """The state from which to resume."""
        return self.marks[-1]

    def open(self, job: Mapping[str, Any]) -> None:
        """Read the states of an earlier run of the same job, or begin a new record.

        Args:
            job: the fingerprint of the input, the model, and every other value on which the output depends.

        Raises:
            Refused: the file records another job.
        """
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        # A last line without a line end is incomplete, because the process was killed.
        found = [json.loads(line) for line in lines[:-1]]
        if not found:
            self._append({"of": job}, "wb")
            return
        before = found[0]["of"]
        changed = [name for name in job if job[name] != before.get(name)]
        if changed:
            msg = (
                f"{self.path} is from a run with another {' and another '.join(changed)}. "
                "Give the command the same values to resume that run, or delete the file to start again"
            )
            raise Refused(msg)
        self.marks += [Mark(**line) for line in found[1:]]
        with self.path.open("r+b") as file:
            file.truncate(sum(len(line) + 1 for line in lines[:-1]))

    def record(self, mark: Mark) -> None:
        """Add a state to the record."""
        self.marks.append(mark)
        self._append(asdict(mark), "ab")

    def _append(self, line: Mapping[str, Any], mode: str) -> None:
        with self.path.open(mode) as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def fingerprint(path: Path) -> str:
    """Return a digest of a file's size, its beginning and its end, which another or a changed file does not have."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(SAMPLE_BYTES)
        file.seek(max(0, size - SAMPLE_BYTES))
        return hashlib.sha256(b"%d " % size + first + file.read()).hexdigest()
