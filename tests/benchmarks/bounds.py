"""Measure this processor's limits with bounds.c: multiply-adds per mix of instructions, and bandwidth per level of cache."""

import ctypes
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from layers.runtime.operators import build

from .compiling import compiled
from .machine import flags

SOURCE = Path(__file__).with_name("bounds.c")
LIBRARY = Path("build", "benchmarks", "bounds.so")


@dataclass(frozen=True, slots=True)
class Mix:
    """A mix of instructions that multiply and add in registers: its function in bounds.c, and the multiply-adds of one step."""

    name: str
    function: str
    instructions: str
    macs: int
    kernels: str = ""
    """The kernels with this inner loop, by their name in the setting KERNELS; empty for a mix that is only compared."""

    @property
    def there(self) -> bool:
        """Return True if this processor has the instructions."""
        return self.instructions in flags()


INT8 = (
    Mix("smmla, int8", "smmla", "i8mm", 16 * 32, "i8mm"),
    Mix("sdot by element, int8", "sdot", "asimddp", 16 * 16, "dotprod"),
    Mix("dpbusd, int8, 512 bits", "dpbusd_512", "avx512_vnni", 16 * 64, "avx512_vnni"),
    Mix("dpbusd, int8, 256 bits", "dpbusd_256", "avx_vnni", 9 * 32),
    Mix("4 maddubs, 3 add, madd, add, int8", "maddubs_by_four", "avx2", 16 * 32, "avx2"),
    Mix("maddubs, madd, add, int8", "maddubs", "avx2", 8 * 32),
    Mix("abs, sign, maddubs, madd, add, int8", "maddubs_signed", "avx2", 8 * 32),
    Mix("madd, add, int16", "madd_16", "avx2", 8 * 16),
)
FLOAT = (
    Mix("fma, float32, 512 bits", "fma_512", "avx512f", 16 * 16),
    Mix("fma, float32, 256 bits", "fma_256", "fma", 8 * 8),
    Mix("fma, float32, 128 bits", "fma_128", "asimd", 16 * 4),
)
"""All mixes, the fastest first. A kernel is limited by the mix of its own inner loop."""
READS = {"read_512": "avx512f", "read_256": "avx2", "read_128": "asimd"}
"""The functions that read memory, the widest first, and the instructions that each needs."""
CHAIN, CHAINED = "chain", 64
STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Level:
    """A level of cache, or main memory: the bytes that it holds for one core, and how many of them are read."""

    name: str
    holds: float
    read: int

    @property
    def times(self) -> int:
        """Return how often a call reads it, so that the cost of the call itself does not matter."""
        return max(1, LEAST_READ // self.read)


def mixes() -> list[Mix]:
    """Return the mixes that this processor has instructions for."""
    return [mix for mix in (*INT8, *FLOAT) if mix.there]


def int8_bound() -> Mix:
    """Return the mix that the kernels in use are made of: those that KERNELS names, or the fastest."""
    wanted = os.environ.get("KERNELS", "")
    return next(mix for mix in INT8 if mix.there and mix.kernels and wanted in {"", mix.kernels})


def float_bound() -> Mix:
    """Return the widest float32 mix. Our kernels with KERNELS=avx2 are held to 256 bits."""
    wide = os.environ.get("KERNELS") != "avx2"
    return next(mix for mix in FLOAT if mix.there and (wide or mix.function != "fma_512"))


CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN = {"L1": 32 << 10, "L2": 512 << 10, "L3": 16 << 20}
"""The sizes of caches on systems that do not report them."""
LEAST_READ, MOST_READ = 8 << 20, 256 << 20
"""The bytes that one call reads."""


def levels() -> list[Level]:
    """Return this processor's levels. Half of a cache is read, a quarter of the last, which other cores use too."""
    sizes = dict(_caches()) or UNKNOWN
    last = max(sizes)
    found = [Level(name, size, size // (4 if name == last else 2) // 4096 * 4096) for name, size in sorted(sizes.items())]
    return [*found, Level("memory", float("inf"), min(MOST_READ, 4 * sizes[last]))]


def _caches() -> Iterator[tuple[str, int]]:
    for index in sorted(CACHES.glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction" and size.endswith("K"):
            yield f"L{level}", int(size[:-1]) << 10


def chain() -> Callable[[], object]:
    """Return a call of STEPS * CHAINED additions that wait for each other: as many cycles."""
    return partial(_library()[CHAIN], ctypes.c_uint64(STEPS))


def multiplying(mix: Mix) -> Callable[[], object]:
    """Return a call of STEPS steps of a mix."""
    return partial(_library()[mix.function], ctypes.c_uint64(STEPS))


def reading(level: Level) -> Callable[[], object]:
    """Return a call that reads as much as the level says as often as it says, as widely as this processor can."""
    name = next(name for name, instructions in READS.items() if instructions in flags())
    data = np.ones(level.read + 64, np.uint8)
    start = data.ctypes.data + -data.ctypes.data % 64

    def read() -> None:
        """Read `data`, which this function keeps alive."""
        assert data.size
        _library()[name](ctypes.c_void_p(start), ctypes.c_size_t(level.read), ctypes.c_uint64(level.times))

    return read


@cache
def _library() -> Mapping[str, Callable[..., object]]:
    """Compile bounds.c for this machine and load it."""
    library = ctypes.CDLL(str(compiled(SOURCE, LIBRARY, build.machine(), platform.system(), "-shared").resolve()))
    names = [CHAIN, *(mix.function for mix in mixes()), *(name for name, instructions in READS.items() if instructions in flags())]
    functions: dict[str, Callable[..., object]] = {name: getattr(library, name) for name in names}
    return functions
