"""Results for sinks to write."""

import numpy as np

from handler.records import NO_ORIGIN, Origin, Record, Result
from handler.service import Options
from handler.vectors import Vector
from tests.secrecy import say


def result(
    name: str = "a", vector: Vector | None = None, text: str = "Some text.", origin: Origin = NO_ORIGIN, **metadata: object
) -> Result:
    """Make a result. If no vector is given, it has four numbers that depend on the name alone."""
    say(text)
    if vector is None:
        vector = np.random.default_rng(list(name.encode("utf-8", "surrogatepass"))).standard_normal(4, np.float32)
    return Result(Record(name, text, Options(), metadata, origin), vector, tokens=len(text.split()), truncated=len(text) > 100)


def results(count: int) -> list[Result]:
    """Make results that are named 0, 1, 2 and so on."""
    return [result(str(number)) for number in range(count)]
