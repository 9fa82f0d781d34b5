"""Records, and a store of objects whose lines are such records."""

from collections.abc import Iterator
from functools import partial

from handler.pipeline.ports import ObjectLine, ObjectStore
from handler.records import Origin, Record, StoredObject
from handler.service import Options


def record(name: str, text: str = "", group: str | None = None, **options: object) -> Record:
    """Make a record that is alone in its message."""
    return Record(name, text or f"text {name}", Options(**options), {}, Origin(name, {"body": name}, group))  # type: ignore[arg-type]


class Queue:
    """A store whose objects have a number of lines, and a continuation queue that notes the offsets sent to it."""

    def __init__(self, *, works: bool = True, lines: int = 0, broken_at: int | None = None) -> None:
        self.works = works
        self.sent: list[int] = []
        self.objects = ObjectStore(partial(self.lines, lines, broken_at), self.defer, lambda stored: stored.key.startswith("out/"))

    def lines(self, count: int, broken_at: int | None, stored: StoredObject) -> Iterator[ObjectLine]:
        for number in range(stored.offset // 10, count):
            if number == broken_at:
                raise ConnectionError
            yield ObjectLine(10 * number, 10 * number + 10, record(f"line {number}"))

    def defer(self, stored: StoredObject, offset: int) -> bool:
        del stored
        self.sent += [offset] if self.works else []
        return self.works
