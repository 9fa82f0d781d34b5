"""One file of texts on its way to one file of vectors.

What is done is written down beside OUT as it is done, so that the same command goes on after an interruption of any kind:

    OUT.partial          what OUT will be, which takes its name when it is whole
    OUT.progress         how far that is: a JSON object a line, the first of which says of what input and model
    OUT.failures.jsonl   the records that have no vector, and why
"""

import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from events.embed_bar import Bar
from events.embed_output import OUTPUTS
from events.embed_progress import Mark, Progress, Refused, fingerprint
from handler.errors import Validation, shown
from handler.pipeline.batching import embedded
from handler.records import Failure, Origin, Record, Result
from handler.service import Service
from handler.sinks.failures import body_of
from handler.sources.files import Piece, kind_from, pieces
from handler.sources.reading import record_of
from handler.vector_types import FLOAT32, TYPES

READ_BYTES = 1024 * 1024
CALL_RECORDS = 512
"""Embedded together; an interrupt waits for them."""
PART_RECORDS, PART_BYTES, PART_SECONDS = 4096, 32 * 1024 * 1024, 30.0
"""Written together, as one row group of Parquet, when it is so much or took so long: what a kill costs at most."""


class FileContent:
    """A file's bytes."""

    def __init__(self, path: Path) -> None:
        """Read `path`."""
        self._path = path
        self.at = 0
        """How far it was read."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def read(self, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on."""
        with self._path.open("rb") as file:
            file.seek(offset)
            while part := file.read(READ_BYTES):
                self.at = file.tell()
                yield part


class Job:
    """One input on its way to one output."""

    def __init__(self, source: Path, out: Path, text_field: str, service: Service, part_records: int = PART_RECORDS) -> None:
        """Check all that can be known beforehand.

        Raises:
            Refused: the input or the output cannot be what it is to be.
            EmbeddingError: likewise, or there is no model.
        """
        if out.suffix not in OUTPUTS:
            msg = f"OUT must end in .jsonl or .parquet. Given: {out}"
            raise Refused(msg)
        if not source.is_file():
            msg = f"IN must be a file. Given: {source}, which is {'a folder' if source.is_dir() else 'not there'}"
            raise Refused(msg)
        if not out.parent.is_dir():
            msg = f"OUT must be in a folder that is there. Given: {out}"
            raise Refused(msg)
        if out.resolve() == source.resolve():
            msg = f"OUT must be another file than IN. Given: {out}"
            raise Refused(msg)
        self._kind = kind_from(source.name)
        self._size = source.stat().st_size
        self._content = FileContent(source)
        self._text_field = text_field
        self._service = service
        self._type = TYPES[service.settings.output_dtype]
        self._format = OUTPUTS[out.suffix](self._type.number.__name__)
        self._out = out
        self._partial = out.with_name(f"{out.name}.partial")
        self._failures = out.with_name(f"{out.name}.failures.jsonl")
        self._progress = Progress(out.with_name(f"{out.name}.progress"))
        self._made_of: dict[str, Any] = {"IN": fingerprint(source), "TEXT_FIELD": text_field, "model": service.manifest.fingerprint}
        # Nothing for float32, as of work that was begun before there were other types.
        self._made_of["TYPE"] = None if self._type is FLOAT32 else self._type.name
        self._bar = Bar(self._done)
        self._part_records = part_records
        self._stopping = False

    def run(self) -> bool:
        """Embed what is left; whether that was all. An interrupt leaves a state to go on from.

        Raises:
            Refused: there is nothing to embed in the first record, or something else was begun under the same name.
        """
        first = next(self._pieces(0), None)
        self._check_text_field(first)
        self._progress.open(self._made_of)
        if self._is_named():
            self._forget()
            return True
        before = signal.signal(signal.SIGINT, self._stop), signal.signal(signal.SIGTERM, self._stop)
        try:
            with _opened(self._partial) as partial, _opened(self._failures) as failures:
                whole = self._embed(partial, failures)
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, handler)
            self._bar.close()
        if whole:
            self._finish()
        return whole

    @property
    def summary(self) -> str:
        """What came of it."""
        last = self._progress.last
        numbers = f"{last.vectors:,} vectors of {self._type.numbers(self._service.manifest.dimension)} numbers"
        numbers += "" if self._type is FLOAT32 else f", as {self._type.name}"
        failed = f"; {last.failures:,} records failed, for the reasons in {self._failures}" if last.failures else ""
        return f"{numbers} in {self._out}{failed}"

    @property
    def state(self) -> str:
        """How far it is, and how to go on."""
        last = self._progress.last
        return f"Stopped after {last.vectors + last.failures:,} records. The same command goes on from there"

    def _stop(self, _: int, __: FrameType | None) -> None:
        """Stop after the records under way; a second interrupt stops at once, which costs the part that they are in."""
        self._stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _pieces(self, offset: int) -> Iterator[Piece]:
        return pieces(self._content, self._kind, self._text_field, offset)

    def _check_text_field(self, first: Piece | None) -> None:
        """A corpus whose texts are called something else should not fail record by record."""
        if first is None or (isinstance(first.fields, dict) and self._text_field in first.fields):
            return
        if isinstance(first.fields, dict):
            has = ", ".join(map(shown, itertools.islice((name for name in first.fields if name != "id"), 20))) or "none"
            msg = f"The first record has no field `{self._text_field}`. It has: {has}. Name the one to embed: TEXT_FIELD=…"
            raise Refused(msg)
        if self._kind == "csv":
            msg = f"{first.fields.error}. Name the one to embed: TEXT_FIELD=…"
            raise Refused(msg)

    def _embed(self, partial: BinaryIO, failures: BinaryIO) -> bool:
        mark = self._progress.last
        if mark.written == 0:
            mark = Mark(written=len(self._format.begin()))
            _write_at(partial, 0, self._format.begin())
        results: list[Result] = []
        failed: list[Failure] = []
        read, begun = mark.read, time.monotonic()
        for batch in itertools.batched(self._pieces(mark.read), min(CALL_RECORDS, self._part_records), strict=False):
            contents = [self._record(piece) for piece in batch]
            for outcome in _outcomes(self._service, contents):
                results += [outcome] if isinstance(outcome, Result) else []
                failed += [outcome] if isinstance(outcome, Failure) else []
            read = batch[-1].end
            self._bar.show(mark.vectors + mark.failures + len(results) + len(failed), read)
            full = len(results) + len(failed) >= self._part_records or read - mark.read >= PART_BYTES
            if full or time.monotonic() - begun >= PART_SECONDS or self._stopping:
                mark, begun = self._written(partial, failures, results, failed, mark, read), time.monotonic()
                results, failed = [], []
            if self._stopping:
                return False
        if results or failed:
            self._written(partial, failures, results, failed, mark, read)
        _write_at(partial, self._progress.last.written or mark.written, self._format.end(self._parts()))
        return True

    def _record(self, piece: Piece) -> Record | Failure:
        place = {"start": piece.start, "end": piece.end}
        if isinstance(piece.fields, Failure):
            return Failure(piece.fields.id, piece.fields.error, piece.fields.error_type, transient=False, origin=Origin(0, place))
        record = record_of(piece.fields, f"{self._content.name}:{piece.start}", Origin(0, piece.fields), self._text_field)
        if isinstance(record, Failure) or record.options.output_dtype in {None, self._type.name}:
            return record
        refusal = Validation(f"OUT has {self._type.name} vectors, as TYPE says; the record asks for {record.options.output_dtype}")
        return Failure.of(refusal, record.id, record.origin)

    def _written(
        self,
        partial: BinaryIO,
        failures: BinaryIO,
        results: Sequence[Result],
        failed: Sequence[Failure],
        mark: Mark,
        read: int,
    ) -> Mark:
        """Write a part, then that it is written."""
        content, part = self._format.part(results, mark.written) if results else (b"", None)
        told = b"".join(body_of(failure, failure.origin.original, None) + b"\n" for failure in failed)
        _write_at(partial, mark.written, content)
        _write_at(failures, mark.failures_written, told)
        reached = Mark(
            read,
            mark.written + len(content),
            mark.failures_written + len(told),
            mark.vectors + len(results),
            mark.failures + len(failed),
            part,
        )
        self._progress.reached(reached)
        return reached

    def _parts(self) -> Iterator[Any]:
        return (mark.part for mark in self._progress.marks if mark.part is not None)

    def _finish(self) -> None:
        self._partial.replace(self._out)
        self._forget()

    def _is_named(self) -> bool:
        """Whether everything was done before but forgetting how far it was: begun anew, the partial file would be of zeros.

        Raises:
            Refused: the partial file is gone in another way.
        """
        written = self._progress.last.written
        if not written or self._partial.exists():
            return False
        if self._out.exists() and self._out.stat().st_size >= written:
            return True
        msg = f"{self._partial} is gone, with what {self._progress.path} says was done. Delete that to begin anew"
        raise Refused(msg)

    def _forget(self) -> None:
        self._progress.path.unlink()
        if not self._progress.last.failures:
            self._failures.unlink(missing_ok=True)

    def _done(self, read: int) -> float:
        """How much of the input is done; of gzip, how much of it was read."""
        at = self._content.at if self._content.name.lower().endswith(".gz") else read
        return min(1.0, at / max(1, self._size))


def _outcomes(service: Service, contents: Sequence[Record | Failure]) -> Iterator[Result | Failure]:
    """A result or a failure for each, in their order.

    Raises:
        Refused: the model is at fault, and not the record.
    """
    made = iter(embedded(service, [content for content in contents if isinstance(content, Record)]))
    for content in contents:
        outcome = next(made) if isinstance(content, Record) else content
        if isinstance(outcome, Failure) and outcome.transient:
            raise Refused(outcome.error)
        yield outcome


def _opened(path: Path) -> BinaryIO:
    path.touch()
    return path.open("r+b")


def _write_at(file: BinaryIO, offset: int, content: bytes) -> None:
    """Write, and let go of whatever was there from `offset` on."""
    file.seek(offset)
    file.truncate()
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
