"""Run documents through a pipeline: texts, a service for which each line is a chunk, and a function that is killed."""

import re
from collections.abc import Sequence

from handler.chunking import Chunk, Chunking
from handler.pipeline.pipeline import Pipeline
from handler.pipeline.ports import Sink
from handler.records import Deleted, Record
from handler.service import Options
from handler.vectors import NEVER
from tests.handler.fake_objects import Queue
from tests.pipelines.fakes import FakeService, Kept

CHUNKING = Chunking(32)


def text_of(chunks: int, version: str = "v") -> str:
    """Return a text of which Lines makes this many chunks."""
    return "\n".join(f"{version} {number}" for number in range(chunks))


class Lines(FakeService):
    """A service for which each line is a chunk, so that many examples take little time."""

    def chunks_of(self, text: str, options: Options, chunking: Chunking, deadline: float = NEVER) -> list[Chunk]:
        del options, chunking, deadline
        return [Chunk(*match.span()) for match in re.finditer(".+", text)]


LINES = Lines()
"""One for all tests: to make one takes longer than an example."""


def run(
    contents: Sequence[Record | Deleted], sink: Sink, service: FakeService | None = None, kept: Kept | None = None
) -> list[str]:
    """Run contents through a pipeline that splits texts; return the ids of the failures to retry."""
    failures = Pipeline(service or FakeService(), sink, kept, Queue().objects, CHUNKING).run(contents, NEVER)
    return [failure.id for failure in failures]


class Killed(BaseException):
    """The function was killed."""
