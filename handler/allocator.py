"""Return memory that is free inside the process to the system."""

import ctypes
import gc
from contextlib import suppress


def free_unused() -> None:
    """Return freed memory to the system. The C library keeps it for later, so that the memory of a peak would stay in use."""
    gc.collect()  # clients of AWS contain circular references
    with suppress(OSError, AttributeError):  # malloc_trim is glibc's; other systems need no call
        ctypes.CDLL(None).malloc_trim(0)
