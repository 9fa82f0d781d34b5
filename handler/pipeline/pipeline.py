"""Write the vectors of an event to a sink: read a batch, embed it, write it, settle its failures.

The package's docstring has the theory of operation.
"""

from collections.abc import Iterable, Iterator, Sequence

from handler.pipeline.batching import embed_contents
from handler.pipeline.groups import ClosedGroups, id_of, rounds
from handler.pipeline.objects import ObjectPipeline
from handler.pipeline.ports import DeletingSink, FailureDestination, ObjectStore, Sink
from handler.pipeline.settling import settle
from handler.records import Content, Deleted, Failure, Outcome, Result, StoredObject
from handler.service import Service

BATCH_CONTENTS = 1000
"""The most contents of one batch."""


class Pipeline:
    """Embeds the contents of events and writes their vectors to a sink."""

    def __init__(self, service: Service, sink: Sink, destination: FailureDestination | None, objects: ObjectStore) -> None:
        """Write to `sink`. Without a failure destination, permanent failures are retried like transient ones."""
        self._service = service
        self._sink = sink
        self._destination = destination
        self._objects = ObjectPipeline(service, sink, destination, objects)

    def run(self, contents: Iterable[Content], deadline: float) -> list[Failure]:
        """Embed and write as much as the time allows; return the failures to retry.

        Args:
            contents: the contents of the event, in its order.
            deadline: the reading of time.monotonic() after which nothing more is embedded.
        """
        closed_groups = ClosedGroups()
        to_retry: list[Failure] = []
        count = 0
        for batch in read_batches(contents):
            match batch:
                case [StoredObject() as stored]:
                    readable, failures = closed_groups.split([stored])
                    if readable:
                        # Later messages of its group may not overtake the object, so it is not deferred before it is read.
                        used_time = len(to_retry) < count and stored.origin.group is None
                        failures = self._objects.run(stored, deadline, used_time=used_time)
                    closed_groups.close(failures)
                    to_retry += failures
                case _:
                    outcomes = embed_contents(self._service, batch, deadline)
                    for outcomes_of_round in rounds(outcomes):
                        writable, failures = closed_groups.split(outcomes_of_round)
                        unwritten = self._write(writable)
                        failures += settle(unwritten, self._destination)
                        closed_groups.close(failures)
                        to_retry += failures
            count += len(batch)
        return to_retry

    def _write(self, outcomes: Sequence[Outcome]) -> list[Failure]:
        """Write the results, and delete the vectors of deleted records; return the failures among the outcomes and the sink's."""
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if results:
            failures += self._sink.write(results)
        if isinstance(self._sink, DeletingSink) and (deleted := last_deleted(outcomes)):
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
    """Return the deletions that no later result of the same id follows."""
    last = {id_of(outcome): outcome for outcome in outcomes if isinstance(outcome, Result | Deleted)}
    return [outcome for outcome in last.values() if isinstance(outcome, Deleted)]
