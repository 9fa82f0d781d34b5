"""What kind of CPU this is, as far as it decides which kernels ONNX Runtime computes with, and so a vector's last bits."""

import platform
import re
from pathlib import Path

DECISIVE = {
    *("avx", "avx2", "fma", "f16c", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "amx_tile", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
}
"""Instruction sets by Linux's names, x86-64 and arm64: those that ONNX Runtime's matrix library (MLAS) chooses kernels by."""


CPUINFO = Path("/proc/cpuinfo")


def kernel_class(cpuinfo: Path = CPUINFO) -> str:
    """One name for all CPUs that compute the same bits: the architecture and its decisive instruction sets."""
    told = cpuinfo.read_text(errors="replace") if cpuinfo.exists() else ""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", told, re.MULTILINE)
    return " ".join([platform.machine(), *sorted(DECISIVE & set(flags[1].split() if flags else ()))])


VNNI = {"avx_vnni", "avx512_vnni"}
"""x86's instructions that multiply bytes four at a time and sum them in 32 bits."""


def saturates(kernels: str) -> bool:
    """Whether the CPUs of a kernel class sum products of bytes in 16 bits, which overflow to the largest number they hold.

    x86 without VNNI does, unless weights are made unsigned. arm64 does not, and has no avx2.
    """
    instructions = set(kernels.split())
    return "avx2" in instructions and instructions.isdisjoint(VNNI)
