"""The encoder's own operators for ONNX Runtime: the compiled library, and the names and numbers that it shares with Python."""

import ctypes
import json
import re
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).with_name("operators.so")
"""The library, which build.py compiles next to a copy of this file."""

_HEADER = Path(__file__).with_name("interface.h").read_text(encoding="utf-8")
_VALUES = {name: json.loads(value) for name, value in re.findall(r'^#define (\w+) (["\w.]+)', _HEADER, re.MULTILINE)}

DOMAIN: str = _VALUES["DOMAIN"]
KERNELS_ENTRY: str = _VALUES["KERNELS_ENTRY"]
THREADS_ENTRY: str = _VALUES["THREADS_ENTRY"]
MAX_THREADS: int = _VALUES["MAX_THREADS"]
PANEL: int = _VALUES["PANEL"]
GROUP: int = _VALUES["GROUP"]
ZERO_WEIGHT: int = _VALUES["ZERO_WEIGHT"]


def share_work(*, shares: bool) -> None:
    """Say whether the operators that this thread computes from now on share their work between a session's threads.

    At first they do, if the session's entry THREADS_ENTRY names more than one.
    """
    _library().share_work(int(shares))


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(LIBRARY))
