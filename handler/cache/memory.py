"""Rows in this process's memory: a text that is hot in a warm environment costs no network."""

from collections import OrderedDict
from threading import Lock

from handler.cache.key import Key

OVERHEAD_BYTES = 350
"""What Python needs for an entry beside the row: the key, two headers and a place in the dictionary (a test measures it)."""


class Memory:
    """The rows used last, as many as fit a number of bytes, for any number of threads."""

    def __init__(self, capacity_bytes: int) -> None:
        """Hold at most `capacity_bytes`, Python's own overhead included."""
        self._capacity = capacity_bytes
        self._bytes = 0
        self._rows: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = Lock()  # without one, threads that put at once count a row twice, and the count never comes right again

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def get(self, key: Key) -> bytes | None:
        """The row of a key, which is now the one used last."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
            return row

    def put(self, key: Key, row: bytes) -> None:
        """Hold a row, and let go of those not used for longest."""
        with self._lock:
            self._bytes += _size(row) - _size(self._rows.pop(key, None))
            self._rows[key] = row
            while self._bytes > self._capacity:
                self._bytes -= _size(self._rows.popitem(last=False)[1])


def _size(row: bytes | None) -> int:
    return 0 if row is None else len(row) + OVERHEAD_BYTES
