"""Describe the machine that figures are measured on, and the class of its processor."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import onnxruntime

from handler.embedding.cpu import CPUINFO

AVX512_VNNI, AVX_VNNI, AVX2 = "x86_64 AVX-512 VNNI", "x86_64 AVX-VNNI", "x86_64 AVX2"
I8MM, ARM64 = "arm64 i8mm", "arm64"
CLASSES = {"avx512_vnni": AVX512_VNNI, "avx_vnni": AVX_VNNI, "avx2": AVX2, "i8mm": I8MM, "asimddp": ARM64}
"""The class of a processor by the first of these instruction sets (Linux's names) that it has: they decide how fast int8 is."""
MACHINES = {"aarch64": "arm64", "AMD64": "x86_64"}
"""Our names of machines that systems name differently."""
MAC = {"asimd", "asimddp"}
"""The instruction sets of every Mac with arm64, which does not list them as Linux does."""


def processor_class(cpuinfo: Path = CPUINFO) -> str:
    """Name the class of this machine's processor. Figures are compared within a class and never across classes."""
    found = flags(cpuinfo)
    machine = MACHINES.get(platform.machine(), platform.machine())
    return next((name for flag, name in CLASSES.items() if flag in found), machine)


def flags(cpuinfo: Path = CPUINFO) -> set[str]:
    """Return the instruction sets of this machine's processor, by Linux's names."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _described(cpuinfo), re.MULTILINE)
    if found:
        return set(found[1].split())
    return MAC if platform.system() == "Darwin" and platform.machine() == "arm64" else set()


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, described by what decides the figures."""

    processor: str
    cores: int
    processor_class: str
    load: float
    python: str
    onnxruntime: str

    @classmethod
    def this(cls) -> Self:
        """Describe the machine this runs on."""
        model = re.search(r"^model name\s*:\s*(.+)$", _described(CPUINFO), re.MULTILINE)
        return cls(
            processor=model[1] if model else platform.machine(),
            cores=cores(),
            processor_class=processor_class(),
            load=os.getloadavg()[0],
            python=platform.python_version(),
            onnxruntime=onnxruntime.__version__,
        )

    def __str__(self) -> str:
        """Return one line for a reader."""
        return (
            f"{self.processor_class} ({self.processor}), {self.cores} cores, load {self.load:.1f} at the start, "
            f"Python {self.python}, onnxruntime {self.onnxruntime}"
        )


def _described(cpuinfo: Path) -> str:
    return cpuinfo.read_text(errors="replace") if cpuinfo.exists() else ""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return os.process_cpu_count() or 1
