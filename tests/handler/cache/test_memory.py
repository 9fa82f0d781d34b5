"""The memory has the most recently used rows, and never more bytes than allowed."""

import random
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cache.memory import OVERHEAD_BYTES, Memory


def key(number: int) -> bytes:
    """Return a different key for each number."""
    return number.to_bytes(32)


def test_the_least_recently_used_row_is_dropped_first() -> None:
    """Reading a row counts as using it."""
    memory = Memory(2 * (10 + OVERHEAD_BYTES))
    memory.put(key(1), bytes(10))
    memory.put(key(2), bytes(10))
    assert memory.get(key(1)) is not None
    memory.put(key(3), bytes(10))
    assert [memory.get(key(number)) is not None for number in (1, 2, 3)] == [True, False, True]


def test_a_row_that_is_written_again_replaces_the_old_one() -> None:
    """Its size counts once."""
    memory = Memory(2 * (10 + OVERHEAD_BYTES))
    for content in (b"a" * 10, b"b" * 10, b"c" * 10):
        memory.put(key(1), content)
    memory.put(key(2), bytes(10))
    assert memory.get(key(1)) == b"c" * 10


@pytest.mark.parametrize("capacity", [0, OVERHEAD_BYTES])
def test_a_memory_too_small_for_a_row_holds_none(capacity: int) -> None:
    """CACHE_MEMORY_MB=0 turns it off."""
    memory = Memory(capacity)
    memory.put(key(1), b"row")
    assert (memory.get(key(1)), len(memory)) == (None, 0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60), st.integers(0, 10_000))
def test_the_newest_rows_that_fit_are_in_memory(puts: list[tuple[int, int]], capacity: int) -> None:
    """A list with the newest row last is the reference."""
    memory = Memory(capacity)
    order: list[tuple[int, int]] = []
    for number, length in puts:
        memory.put(key(number), bytes(length))
        order = [(n, size) for n, size in order if n != number] + [(number, length)]
        while sum(size + OVERHEAD_BYTES for _, size in order) > capacity:
            order.pop(0)
    assert len(memory) == len(order)
    assert all(memory.get(key(number)) == bytes(length) for number, length in order)


def test_python_s_own_memory_is_counted() -> None:
    """The memory that a full cache really takes, with keys and rows, is within its capacity."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        memory = Memory(4_000_000)
        for number in range(10_000):
            memory.put(key(number), bytes(777))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 3_000_000 < taken < 4_000_000


def test_threads_can_put_and_get_at_the_same_time() -> None:
    """Without the lock, two of them counted a row twice, until no row fitted any more and every put raised KeyError."""
    memory = Memory(20 * (10 + OVERHEAD_BYTES))

    def use(seed: int) -> None:
        generator = random.Random(seed)  # noqa: S311 - the numbers must be repeatable, not secret
        for _ in range(20_000):
            memory.put(key(generator.randrange(40)), bytes(10))
            memory.get(key(generator.randrange(40)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(use, range(8)))
    finally:
        sys.setswitchinterval(interval)
    for number in range(100, 120):
        memory.put(key(number), bytes(10))
    assert len(memory) == 20
    assert all(memory.get(key(number)) is not None for number in range(100, 120))
