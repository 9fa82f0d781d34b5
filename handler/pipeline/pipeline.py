"""Write the vectors of an event to a sink: read a batch, embed it, write it, settle its failures.

The package's docstring has the theory of operation.
"""

from collections.abc import Iterable, Iterator

from handler.chunking import WHOLE, Chunking
from handler.pipeline.batching import embed_contents
from handler.pipeline.groups import ClosedGroups, rounds
from handler.pipeline.objects import ObjectPipeline
from handler.pipeline.ports import FailureDestination, ObjectStore, Sink
from handler.pipeline.settling import settle
from handler.pipeline.writing import write_outcomes
from handler.records import Content, Failure, StoredObject
from handler.service import Service

BATCH_CONTENTS = 1000
"""The most contents of one batch."""


class Pipeline:
    """Embeds the contents of events and writes their vectors to a sink."""

    def __init__(
        self,
        service: Service,
        sink: Sink,
        destination: FailureDestination | None,
        objects: ObjectStore,
        chunking: Chunking = WHOLE,
    ) -> None:
        """Write to `sink`. Without a failure destination, permanent failures are retried like transient ones.

        `chunking` has the deployment's options of splitting texts.
        """
        self._service = service
        self._sink = sink
        self._destination = destination
        self._chunking = chunking
        self._objects = ObjectPipeline(service, sink, destination, objects, chunking)

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
                    outcomes = embed_contents(self._service, batch, deadline, self._chunking)
                    for outcomes_of_round in rounds(outcomes):
                        writable, failures = closed_groups.split(outcomes_of_round)
                        unwritten = [outcome for outcome in writable if isinstance(outcome, Failure)]
                        unwritten += write_outcomes(self._sink, writable, is_split=self._chunking.tokens > 0)
                        failures += settle(unwritten, self._destination)
                        closed_groups.close(failures)
                        to_retry += failures
            count += len(batch)
        return to_retry


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
