"""Embed a file or a folder of texts as one file of vectors.

Progress is recorded in files next to OUT, so that the same command resumes after an interruption of any kind:

    OUT.partial          the beginning of OUT, renamed to OUT when it is complete
    OUT.progress         the states from which a run can resume: JSON objects, one a line; the first one describes the job
    OUT.failures.jsonl   the records that have no vector, with the reason
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from events.embed.bar import Bar
from events.embed.counted import counted
from events.embed.input import FILE_PLACES, Input, check_paths
from events.embed.output import OUTPUTS, describe
from events.embed.progress import Mark, Progress, Refused
from handler.chunking import WHOLE, Chunking
from handler.errors import Validation
from handler.pipeline.batching import embed_contents
from handler.records import DocumentResult, Failure, Origin, Record, Result
from handler.service import Service
from handler.sinks.failures import to_body
from handler.sources.files import FileRecord
from handler.sources.record_parsing import parse_record
from handler.vector_types import FLOAT32, TYPES

CALL_RECORDS, CALL_BYTES = 512, 4 * 1024 * 1024
"""The most records of one batch, and the bytes of the input after which it ends. An interrupt waits until a batch is embedded."""
PART_RECORDS, PART_BYTES, PART_SECONDS = 4096, 32 * 1024 * 1024, 30.0
"""A part is written, as one row group of Parquet, when it has this many records, was read from this many bytes, or took this long.
If the process is killed, at most one part is lost."""


@dataclass(slots=True)
class Part:
    """The results and failures that are not written yet."""

    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    size: int = 0
    """The bytes of the input that were read for them."""

    def __len__(self) -> int:
        return len(self.results) + len(self.failures)


class Job:
    """The embedding of an input file or folder as one output file."""

    def __init__(
        self,
        source: Path | str,
        out: Path,
        text_field: str,
        service: Service,
        part_records: int = PART_RECORDS,
        chunking: Chunking = WHOLE,
    ) -> None:
        """Check everything that can be checked before the first record is read.

        `chunking` has the options of splitting of records that have none of their own.

        Raises:
            Refused: the input cannot be read or the output cannot be written.
            EmbeddingError: the input is of an unknown kind, or there is no model.
        """
        check_paths(str(source), out)
        self._input = Input(str(source), text_field, is_text_document=chunking.tokens > 0)
        self._text_field = text_field
        self._chunking = chunking
        self._service = service
        self._type = TYPES[service.settings.output_dtype]
        self._format = OUTPUTS[out.suffix](self._type.number.__name__, describe(service.manifest, self._type.name))
        self._out = out
        self._partial = out.with_name(f"{out.name}.partial")
        self._failures = out.with_name(f"{out.name}.failures.jsonl")
        self._progress = Progress(out.with_name(f"{out.name}.progress"))
        self._description: dict[str, Any] = {
            "IN": self._input.fingerprint,
            "TEXT_FIELD": text_field,
            "model": service.manifest.fingerprint,
            # None for float32, as in the progress of jobs that began before there were other types.
            "TYPE": None if self._type is FLOAT32 else self._type.name,
            "CHUNK_TOKENS": chunking.tokens or None,
            "CHUNK_OVERLAP": chunking.overlap or None,
            "CHUNK_TEXT": chunking.keeps_text or None,
        }
        self._bar = Bar()
        self._part_records = part_records
        self._is_stopping = False

    def run(self) -> bool:
        """Embed what is not done yet; return False if an interrupt stopped the job in a state from which it can resume.

        Raises:
            Refused: the first record has no text, or another job was begun with the same OUT.
        """
        self._input.check()
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
        made = counted(last.vectors, "vector", "vectors")
        numbers = f"{made} of {self._type.numbers(self._service.manifest.dimension)} numbers"
        numbers += "" if self._type is FLOAT32 else f", as {self._type.name}"
        failed = counted(last.failures, "record failed, for the reason", "records failed, for the reasons")
        failed = f"; {failed} in {self._failures}" if last.failures else ""
        skipped = counted(self._input.skipped, "file of another kind was skipped", "files of other kinds were skipped")
        skipped = f"; {skipped}" if self._input.skipped else ""
        return f"{numbers} in {self._out}{failed}{skipped}"

    @property
    def state(self) -> str:
        """A sentence about the state of an interrupted job, and how to resume it."""
        last = self._progress.last
        return f"Stopped after {counted(last.vectors + last.failures, 'record', 'records')}. The same command resumes from there"

    def _stop(self, _: int, __: FrameType | None) -> None:
        """Stop after the current batch. A second interrupt stops at once, and the current part is lost."""
        self._is_stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _batches(self, place: int) -> Iterator[list[FileRecord]]:
        """Yield the records from a place on in batches, which have few records if these are large."""
        batch: list[FileRecord] = []
        size = 0
        for piece in self._input.pieces(place):
            batch.append(piece)
            size += piece.end - piece.start
            if len(batch) == min(CALL_RECORDS, self._part_records) or size >= CALL_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _embed(self, partial: BinaryIO, failures: BinaryIO) -> bool:
        """Read, embed and write from the last state on; return False if an interrupt stopped it."""
        mark = self._progress.last
        if mark.written == 0:
            mark = Mark(written=len(self._format.begin()))
            _write_at(partial, 0, self._format.begin())
        part, read, begun = Part(), mark.read, time.monotonic()
        for batch in self._batches(mark.read):
            self._embed_batch(batch, part)
            read = batch[-1].end
            self._bar.show(mark.vectors + mark.failures + len(part), self._input.share_done(read))
            is_full = len(part) >= self._part_records or part.size >= PART_BYTES
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
        part.size += sum(piece.end - piece.start for piece in batch)
        for outcome in embed_contents(self._service, [self._record(piece) for piece in batch], chunking=self._chunking):
            match outcome:
                case Result():
                    part.results.append(outcome)
                case DocumentResult(_, results):
                    part.results += results
                case Failure(error=error, transient=True):
                    raise Refused(error)
                case Failure():
                    part.failures.append(outcome)

    def _record(self, piece: FileRecord) -> Record | Failure:
        if isinstance(piece.fields, Failure):
            place = {"start": piece.start % FILE_PLACES, "end": piece.end % FILE_PLACES}
            return Failure(piece.fields.id, piece.fields.error, piece.fields.error_type, transient=False, origin=Origin(0, place))
        record = parse_record(piece.fields, self._input.name_of(piece.start), Origin(0, piece.fields), self._text_field)
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
