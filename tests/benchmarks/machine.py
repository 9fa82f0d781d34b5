"""What was measured on."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import onnxruntime

VNNI = {"avx512_vnni", "avx_vnni"}
"""The x86 instructions that multiply int8 four at a time; either decides the speed of an int8 model."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, as far as it decides the figures."""

    processor: str
    cores: int
    vnni: bool
    load: float
    python: str
    onnxruntime: str

    @classmethod
    def this(cls) -> Self:
        """The machine this runs on."""
        description = Path("/proc/cpuinfo")
        told = description.read_text() if description.exists() else ""
        model = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
        return cls(
            processor=model[1] if model else platform.machine(),
            cores=cores(),
            vnni=not VNNI.isdisjoint(told.split()),
            load=os.getloadavg()[0],
            python=platform.python_version(),
            onnxruntime=onnxruntime.__version__,
        )

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"{self.processor}, {self.cores} cores, VNNI {'yes' if self.vnni else 'no'}, load {self.load:.1f} at the start, "
            f"Python {self.python}, onnxruntime {self.onnxruntime}"
        )


def cores() -> int:
    """The cores this process may use: the `all` of all threads."""
    return os.process_cpu_count() or 1
