"""One event on its way to the sink: read a batch, embed it, write it, settle what failed.

The package's docstring has the theory of operation.
"""

from collections.abc import Iterable, Iterator, Sequence

from handler.pipeline.batching import embed_contents
from handler.pipeline.groups import Groups, id_of, rounds
from handler.pipeline.objects import ObjectPipeline
from handler.pipeline.ports import Erasable, FailureDestination, ObjectStore, Sink
from handler.pipeline.settling import settle
from handler.records import Content, Deleted, Failure, Outcome, Result, StoredObject
from handler.service import Service

BATCH_CONTENTS = 1000
"""The most contents that are embedded and written together."""


class Pipeline:
    """Embeds the contents of events and writes their vectors to a sink."""

    def __init__(self, service: Service, sink: Sink, destination: FailureDestination | None, objects: ObjectStore) -> None:
        """Connect the parts. Without a failure destination, permanent failures are retried like transient ones."""
        self._service = service
        self._sink = sink
        self._destination = destination
        self._objects = ObjectPipeline(service, sink, destination, objects)

    def run(self, contents: Iterable[Content], deadline: float) -> list[Failure]:
        """Embed and write as much as the time allows; return the failures to retry.

        Args:
            contents: everything that the event holds, in its order.
            deadline: the reading of time.monotonic() after which nothing more is embedded.
        """
        groups = Groups()
        to_retry: list[Failure] = []
        count = 0
        for batch in read_batches(contents):
            match batch:
                case [StoredObject() as stored]:
                    readable, failures = groups.split([stored])
                    if readable:
                        # In a group nothing may overtake the object, so it is not deferred unread.
                        used_time = len(to_retry) < count and stored.origin.group is None
                        failures = self._objects.run(stored, deadline, used_time=used_time)
                    groups.close(failures)
                    to_retry += failures
                case _:
                    outcomes = embed_contents(self._service, batch, deadline)
                    for part in rounds(outcomes):
                        writable, failures = groups.split(part)
                        unwritten = self._write(writable)
                        failures += settle(unwritten, self._destination)
                        groups.close(failures)
                        to_retry += failures
            count += len(batch)
        return to_retry

    def _write(self, outcomes: Sequence[Outcome]) -> list[Failure]:
        """Write results and delete what is deleted; return the failures among the outcomes and those of the sink."""
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if results:
            failures += self._sink.write(results)
        if isinstance(self._sink, Erasable) and (deleted := last_deleted(outcomes)):
            failures += self._sink.delete(deleted)
        return failures


def read_batches(contents: Iterable[Content]) -> Iterator[list[Content]]:
    """Divide contents into batches of at most BATCH_CONTENTS, in their order; an object of S3 is a batch of its own."""
    batch: list[Content] = []
    for content in contents:
        if batch and (len(batch) == BATCH_CONTENTS or isinstance(content, StoredObject) or isinstance(batch[-1], StoredObject)):
            yield batch
            batch = []
        batch.append(content)
    if batch:
        yield batch


def last_deleted(outcomes: Iterable[Outcome]) -> list[Deleted]:
    """Return the deletions after which the same id has no result again."""
    last = {id_of(outcome): outcome for outcome in outcomes if isinstance(outcome, Result | Deleted)}
    return [outcome for outcome in last.values() if isinstance(outcome, Deleted)]
