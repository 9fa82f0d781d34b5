"""Embed one file of texts as one file of vectors.

Progress is recorded in files next to OUT, so that the same command resumes after an interruption of any kind:

    OUT.partial          the beginning of OUT, renamed to OUT when it is complete
    OUT.progress         the states from which a run can resume: JSON objects, one a line; the first one describes the job
    OUT.failures.jsonl   the records that have no vector, with the reason
"""

import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from events.embed.bar import Bar
from events.embed.input import FileContent, check_paths, check_text_field
from events.embed.output import OUTPUTS, describe
from events.embed.progress import Mark, Progress, Refused, fingerprint
from handler.errors import Validation
from handler.pipeline.batching import embed_contents
from handler.records import Failure, Origin, Record, Result
from handler.service import Service
from handler.sinks.failures import to_body
from handler.sources.files import FileRecord, find_file_kind, read_file
from handler.sources.record_parsing import parse_record
from handler.vector_types import FLOAT32, TYPES

CALL_RECORDS = 512
"""The records of one batch. An interrupt waits until the batch is embedded."""
PART_RECORDS, PART_BYTES, PART_SECONDS = 4096, 32 * 1024 * 1024, 30.0
"""A part is written, as one row group of Parquet, when it has this many records, was read from this many bytes, or took this long.
If the process is killed, at most one part is lost."""


@dataclass(slots=True)
class Part:
    """The results and failures that are not written yet."""

    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.results) + len(self.failures)


class Job:
    """The embedding of one input file as one output file."""

    def __init__(self, source: Path, out: Path, text_field: str, service: Service, part_records: int = PART_RECORDS) -> None:
        """Check everything that can be checked before the first record is read.

        Raises:
            Refused: the input cannot be read or the output cannot be written.
            EmbeddingError: the input is of an unknown kind, or there is no model.
        """
        check_paths(source, out)
        self._kind = find_file_kind(source.name)
        self._size = source.stat().st_size
        self._content = FileContent(source)
        self._text_field = text_field
        self._service = service
        self._type = TYPES[service.settings.output_dtype]
        self._format = OUTPUTS[out.suffix](self._type.number.__name__, describe(service.manifest, self._type.name))
        self._out = out
        self._partial = out.with_name(f"{out.name}.partial")
        self._failures = out.with_name(f"{out.name}.failures.jsonl")
        self._progress = Progress(out.with_name(f"{out.name}.progress"))
        self._description: dict[str, Any] = {
            "IN": fingerprint(source),
            "TEXT_FIELD": text_field,
            "model": service.manifest.fingerprint,
            # None for float32, as in the progress of jobs that began before there were other types.
            "TYPE": None if self._type is FLOAT32 else self._type.name,
        }
        self._bar = Bar()
        self._part_records = part_records
        self._is_stopping = False

    def run(self) -> bool:
        """Embed what is not done yet; return False if an interrupt stopped the job in a state from which it can resume.

        Raises:
            Refused: the first record has no text, or another job was begun with the same OUT.
        """
        check_text_field(next(self._pieces(0), None), self._text_field, self._kind)
        self._progress.open(self._description)
        if self._is_renamed():
            self._forget()
            return True
        before = signal.signal(signal.SIGINT, self._stop), signal.signal(signal.SIGTERM, self._stop)
        try:
            with _open(self._partial) as partial, _open(self._failures) as failures:
                finished = self._embed(partial, failures)
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, handler)
            self._bar.close()
        if finished:
            self._partial.replace(self._out)
            self._forget()
        return finished

    @property
    def summary(self) -> str:
        """A sentence about the result of a finished job."""
        last = self._progress.last
        numbers = f"{last.vectors:,} vectors of {self._type.numbers(self._service.manifest.dimension)} numbers"
        numbers += "" if self._type is FLOAT32 else f", as {self._type.name}"
        failed = f"; {last.failures:,} records failed, for the reasons in {self._failures}" if last.failures else ""
        return f"{numbers} in {self._out}{failed}"

    @property
    def state(self) -> str:
        """A sentence about the state of an interrupted job, and how to resume it."""
        last = self._progress.last
        return f"Stopped after {last.vectors + last.failures:,} records. The same command resumes from there"

    def _stop(self, _: int, __: FrameType | None) -> None:
        """Stop after the current batch. A second interrupt stops at once, and the current part is lost."""
        self._is_stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _pieces(self, offset: int) -> Iterator[FileRecord]:
        return read_file(self._content, self._kind, self._text_field, offset)

    def _embed(self, partial: BinaryIO, failures: BinaryIO) -> bool:
        """Read, embed and write from the last state on; return False if an interrupt stopped it."""
        mark = self._progress.last
        if mark.written == 0:
            mark = Mark(written=len(self._format.begin()))
            _write_at(partial, 0, self._format.begin())
        part, read, begun = Part(), mark.read, time.monotonic()
        for batch in itertools.batched(self._pieces(mark.read), min(CALL_RECORDS, self._part_records), strict=False):
            self._embed_batch(batch, part)
            read = batch[-1].end
            self._bar.show(mark.vectors + mark.failures + len(part), self._share_done(read))
            is_full = len(part) >= self._part_records or read - mark.read >= PART_BYTES
            if is_full or time.monotonic() - begun >= PART_SECONDS or self._is_stopping:
                mark = self._write(partial, failures, part, mark, read)
                part, begun = Part(), time.monotonic()
            if self._is_stopping:
                return False
        if len(part):
            self._write(partial, failures, part, mark, read)
        parts = (mark.part for mark in self._progress.marks if mark.part is not None)
        _write_at(partial, self._progress.last.written or mark.written, self._format.end(parts))
        return True

    def _embed_batch(self, batch: Sequence[FileRecord], part: Part) -> None:
        """Embed records, and add a result or a failure for each to a part.

        Raises:
            Refused: the failure is transient: the model fails, and not the record.
        """
        for outcome in embed_contents(self._service, [self._record(piece) for piece in batch]):
            match outcome:
                case Result():
                    part.results.append(outcome)
                case Failure(error=error, transient=True):
                    raise Refused(error)
                case Failure():
                    part.failures.append(outcome)

    def _record(self, piece: FileRecord) -> Record | Failure:
        if isinstance(piece.fields, Failure):
            place = {"start": piece.start, "end": piece.end}
            return Failure(piece.fields.id, piece.fields.error, piece.fields.error_type, transient=False, origin=Origin(0, place))
        record = parse_record(piece.fields, f"{self._content.name}:{piece.start}", Origin(0, piece.fields), self._text_field)
        if isinstance(record, Failure) or record.options.output_dtype in {None, self._type.name}:
            return record
        refusal = Validation(f"OUT has {self._type.name} vectors, as TYPE says; the record asks for {record.options.output_dtype}")
        return Failure.of(refusal, record.id, record.origin)

    def _write(self, partial: BinaryIO, failures: BinaryIO, part: Part, mark: Mark, read: int) -> Mark:
        """Write a part, then record the state after it; return that state."""
        content, entry = self._format.part(part.results, mark.written) if part.results else (b"", None)
        lines = b"".join(to_body(failure, failure.origin.original, None) + b"\n" for failure in part.failures)
        _write_at(partial, mark.written, content)
        _write_at(failures, mark.failures_written, lines)
        after = Mark(
            read,
            mark.written + len(content),
            mark.failures_written + len(lines),
            mark.vectors + len(part.results),
            mark.failures + len(part.failures),
            entry,
        )
        self._progress.record(after)
        return after

    def _is_renamed(self) -> bool:
        """Return True if a run was killed after it renamed the finished OUT, and before it deleted the record of its progress.

        Raises:
            Refused: the partial file is missing for another reason.
        """
        written = self._progress.last.written
        if not written or self._partial.exists():
            return False
        if self._out.exists() and self._out.stat().st_size >= written:
            return True
        progress = self._progress.path
        msg = f"{self._partial} is missing, but {progress} says that records were written to it. Delete the latter to start again"
        raise Refused(msg)

    def _forget(self) -> None:
        """Delete the record of the progress, and the file of failures if it is empty."""
        self._progress.path.unlink()
        if not self._progress.last.failures:
            self._failures.unlink(missing_ok=True)

    def _share_done(self, read: int) -> float:
        """Return the share of the input that is done. For gzip, it is the share of the compressed bytes that were read."""
        offset = self._content.offset if self._content.name.lower().endswith(".gz") else read
        return min(1.0, offset / max(1, self._size))


def _open(path: Path) -> BinaryIO:
    path.touch()
    return path.open("r+b")


def _write_at(file: BinaryIO, offset: int, content: bytes) -> None:
    """Replace everything from `offset` on by `content`, and wait until it is on the disk."""
    file.seek(offset)
    file.truncate()
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
