"""Embed an object of S3 that is one document, whatever order its events arrive in.

Theory of operation

S3 reports each change of an object at least once, and not in order. So an event is not a command to write what it reports. It only
says that something happened to the object, and its current state is what counts:

1. Every chunk has the `sequencer` of the event for which it was written. If all chunks in the sink have the same sequencer, and it
   is not older than that of this event, the sink has a state that includes this event, and nothing is done. Chunks with different
   sequencers are of different states: a function was killed between writing them.
2. Otherwise the current state of the object is read. It is embedded and written; if there is no object any more, or no text in it,
   its vectors are deleted. No tombstone is needed: a late event of an object that was deleted finds no object.
3. Two functions can handle two events of one object at the same time, and the one that read the older state can write last. So
   after writing, the object's ETag is read once more. If it has changed, the function begins again. Whoever wrote an older state
   over a newer one therefore finds out. If it is killed before that, its event is retried, and comes to step 2.

Law: knows the service, records and the ports; knows no source, no sink and no AWS.
"""

import time

from handler import telemetry
from handler.chunking import Chunking
from handler.errors import Unfinished
from handler.pipeline.batching import embed_contents
from handler.pipeline.ports import DocumentSink, FailureDestination, ObjectStore, ShardSink, Sink, WholeObject
from handler.pipeline.settling import settle
from handler.pipeline.splitting import SEQUENCER, chunk_id
from handler.pipeline.writing import count_chunks, flatten, write_outcomes
from handler.records import Deleted, Failure, Record, StoredObject
from handler.service import Service

ATTEMPTS = 3
"""The states of one object that are written for one event. If it still changes after that, the event is retried later."""


class DocumentPipeline:
    """Brings the vectors of a document in a sink to the current state of its object."""

    def __init__(
        self, service: Service, sink: Sink, destination: FailureDestination | None, objects: ObjectStore, chunking: Chunking
    ) -> None:
        """Read from `objects`, write to `sink`, and record permanent failures at `destination`."""
        self._service = service
        self._sink = sink
        self._destination = destination
        self._objects = objects
        self._chunking = chunking

    def run(self, stored: StoredObject, deadline: float) -> list[Failure]:
        """Embed the object, or delete its vectors; return a failure if the event must be retried.

        Raises:
            EmbeddingError: the object cannot be read.
        """
        if self._is_done(stored):
            telemetry.log("document_skipped", uri=stored.uri, reason="a later event was handled")
            return []
        for _ in range(ATTEMPTS):
            state = self._objects.read_whole(stored)
            if failures := self._bring_to(state, stored, deadline):
                return failures
            if self._objects.find_etag(stored) == state.etag:
                return []
            if time.monotonic() > deadline:
                break
        reason = Unfinished(f"{stored.uri} changed while it was embedded")
        return [Failure.of(reason, stored.uri, stored.origin, transient=True)]

    def _is_done(self, stored: StoredObject) -> bool:
        """Return whether the sink has a whole state of the document that includes this event."""
        if not (stored.sequencer and isinstance(self._sink, DocumentSink)):
            return False
        try:
            return has_state(self._sink, stored.key, stored.sequencer)
        except Exception as error:  # noqa: BLE001 - the sink will refuse the document, too, or take it once more
            telemetry.log("chunks_not_read", error=type(error).__name__)
            return False

    def _bring_to(self, state: WholeObject, stored: StoredObject, deadline: float) -> list[Failure]:
        if state.content is None:
            deleted = Deleted(stored.key, "deleted" if state.etag is None else "no text", stored.origin)
            return settle(write_outcomes(self._sink, [deleted], is_split=self._chunking.tokens > 0), self._destination)
        if isinstance(state.content, Failure):
            return settle([state.content], self._destination)
        return self._write(state.content, f"{stored.bucket}/{stored.key}/{(state.etag or '').strip('"')}/whole", deadline)

    def _write(self, record: Record, shard: str, deadline: float) -> list[Failure]:
        if isinstance(self._sink, ShardSink) and self._sink.find_receipt(shard) is not None:
            return []
        outcomes = embed_contents(self._service, [record], deadline, self._chunking)
        if failures := [outcome for outcome in outcomes if isinstance(outcome, Failure)]:
            return settle(failures, self._destination)
        if isinstance(self._sink, ShardSink):
            written = self._sink.write_shard(flatten(outcomes), shard)
            return written if isinstance(written, list) else []
        return settle(write_outcomes(self._sink, outcomes, is_split=self._chunking.tokens > 0), self._destination)


def has_state(sink: DocumentSink, document: str, sequencer: str) -> bool:
    """Return whether a sink has all chunks of a document, and no others, as written for `sequencer` or for one later event."""
    first = sink.read_metadata([chunk_id(document, 0)]).get(chunk_id(document, 0), {})
    known, count = first.get(SEQUENCER), count_chunks(first)
    if not (isinstance(known, str) and is_as_late(known, sequencer)):
        return False
    others = sink.read_metadata([chunk_id(document, number) for number in range(1, count + 1)])
    is_whole = others.keys() == {chunk_id(document, number) for number in range(1, count)}
    return is_whole and all(metadata.get(SEQUENCER) == known for metadata in others.values())


def is_as_late(known: str, sequencer: str) -> bool:
    """Return whether the event of the sequencer `known` is certainly not older than that of `sequencer`, of the same object.

    Sequencers are hexadecimal. Those of one length compare as strings; about others, AWS's guides contradict each other (Amazon S3
    user guide, "Event message structure": pad the shorter one on the left, or on the right), so they are not compared.
    """
    return len(known) == len(sequencer) and known.upper() >= sequencer.upper()
