"""Rows in this process's memory, so that a text that is requested often costs no network call."""

from collections import OrderedDict
from threading import Lock

from handler.cache.key import Key

OVERHEAD_BYTES = 350
"""The memory that Python needs for an entry in addition to the row: the key, two object headers and a slot of the dictionary.

A test measures this number.
"""


class Memory:
    """The most recently used rows, as many as fit into a number of bytes. Any number of threads may use it."""

    def __init__(self, capacity_bytes: int) -> None:
        """Hold at most `capacity_bytes`, including Python's overhead."""
        self._capacity = capacity_bytes
        self._bytes = 0
        self._rows: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = Lock()  # without it, two threads that store the same row count its bytes twice, and the sum stays wrong

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def get(self, key: Key) -> bytes | None:
        """Return the row of a key, or None; the row becomes the most recently used one."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
            return row

    def put(self, key: Key, row: bytes) -> None:
        """Store a row; drop the least recently used rows if there is no space."""
        with self._lock:
            self._bytes += _size(row) - _size(self._rows.pop(key, None))
            self._rows[key] = row
            while self._bytes > self._capacity:
                self._bytes -= _size(self._rows.popitem(last=False)[1])


def _size(row: bytes | None) -> int:
    return 0 if row is None else len(row) + OVERHEAD_BYTES
