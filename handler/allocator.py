"""Return memory that is free inside the process to the system."""

import ctypes
import gc
from contextlib import suppress


def free_unused() -> None:
    """Free what nothing refers to. The C library keeps such memory for later, so that a peak would stay."""
    gc.collect()  # clients of AWS contain circular references
    with suppress(OSError, AttributeError):  # malloc_trim is glibc's; other systems need no call
        ctypes.CDLL(None).malloc_trim(0)
