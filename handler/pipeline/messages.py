"""The contents of an event's messages to vectors: embedded together, written, and back what is to be tried again."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from handler.errors import Unfinished
from handler.pipeline.batching import embedded
from handler.pipeline.objects import ObjectPipeline
from handler.pipeline.ports import Erasable, FailureDestination, Objects, Sink
from handler.records import Content, Failure, Gone, Origin, Record, Result, StoredObject
from handler.service import Service

RECORDS = 1000
"""Written together."""


class Pipeline:
    """A service, a sink and a failure destination at work."""

    def __init__(self, service: Service, sink: Sink, destination: FailureDestination | None, objects: Objects) -> None:
        """Join them. Without a failure destination, what can never be embedded is given back like the rest."""
        self._service = service
        self._sink = sink
        self._destination = destination
        self._objects = ObjectPipeline(service, sink, self.settled, objects)

    def run(self, contents: Iterable[Content], deadline: float) -> list[Failure]:
        """Embed and write everything that the time allows; returns what is to be tried again."""
        back: list[Failure] = []
        closed: set[str] = set()
        waiting: list[Content] = []
        for place, content in enumerate(contents):
            if isinstance(content, StoredObject):
                back += self._written(waiting, deadline, closed)
                waiting = []
                # Something before it: then it has not had all of the time. What is in a group is not to be overtaken.
                done = len(back) < place and content.origin.group is None
                back += self._turn([content], closed, partial(self._objects.embed, deadline=deadline, done=done))
            else:
                waiting.append(content)
                if len(waiting) == RECORDS:
                    back += self._written(waiting, deadline, closed)
                    waiting = []
        return back + self._written(waiting, deadline, closed)

    def settled(self, failures: Iterable[Failure]) -> list[Failure]:
        """Hand what can never succeed to the failure destination; returns what is to be tried again."""
        failures = list(failures)
        permanent = [failure for failure in failures if not failure.transient]
        if self._destination is None or not permanent:
            return failures
        unwritten = self._destination.write([(failure, failure.origin.original) for failure in permanent])
        return [failure for failure in failures if failure.transient] + unwritten

    def _written(self, contents: Sequence[Content], deadline: float, closed: set[str]) -> list[Failure]:
        """Embed together, then write: everything at once, but of each group one message after the other."""
        records = [content for content in contents if isinstance(content, Record)]
        made = iter(embedded(self._service, records, deadline))
        outcomes = [next(made) if isinstance(content, Record) else content for content in contents]
        back: list[Failure] = []
        for wave in _waves(outcomes):
            back += self._turn(wave, closed, self._wave)
        return back

    def _wave(self, outcomes: Sequence[Result | Content]) -> list[Failure]:
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if results:
            failures += self._sink.write(results)
        if isinstance(self._sink, Erasable) and (gone := _gone(outcomes)):
            failures += self._sink.delete(gone)
        return self.settled(failures)

    @staticmethod
    def _turn[T: Result | Content](
        outcomes: Sequence[T], closed: set[str], write: Callable[[Sequence[T]], list[Failure]]
    ) -> list[Failure]:
        """Write what no failure before it in its group keeps back; a group where something is left over is closed."""
        back = [
            Failure.of(Unfinished("a message before it in its group was not done"), _id(outcome), _origin(outcome), transient=True)
            for outcome in outcomes
            if _origin(outcome).group in closed
        ]
        if writable := [outcome for outcome in outcomes if _origin(outcome).group not in closed]:
            back += write(writable)
        closed.update(failure.origin.group for failure in back if failure.origin.group is not None)
        return back


def _waves[T: Result | Content](outcomes: Iterable[T]) -> Iterator[list[T]]:
    """The first of each group, then the second of each: written so, nothing overtakes. What has no group is in the first."""
    waves: list[list[T]] = []
    seen: Counter[str] = Counter()
    for outcome in outcomes:
        group = _origin(outcome).group
        turn = 0 if group is None else seen[group]
        if group is not None:
            seen[group] += 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(outcome)
    return iter(waves)


def _gone(outcomes: Iterable[Result | Content]) -> list[Gone]:
    """What is gone in the end: not what has a vector again after that."""
    last = {_id(outcome): outcome for outcome in outcomes if isinstance(outcome, Result | Gone)}
    return [outcome for outcome in last.values() if isinstance(outcome, Gone)]


def _origin(outcome: Result | Content) -> Origin:
    return outcome.record.origin if isinstance(outcome, Result) else outcome.origin


def _id(outcome: Result | Content) -> str:
    match outcome:
        case Result():
            return outcome.record.id
        case StoredObject():
            return outcome.uri
        case _:
            return outcome.id
