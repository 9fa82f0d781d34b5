"""The kind of CPU: the instruction sets that decide which kernels ONNX Runtime uses, and so the last bits of a vector."""

import platform
import re
from pathlib import Path

DECISIVE = {
    *("avx", "avx2", "fma", "f16c", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "amx_tile", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
}
"""The instruction sets by which ONNX Runtime's matrix library (MLAS) chooses kernels, by Linux's names, x86-64 and arm64."""

CPUINFO = Path("/proc/cpuinfo")


def kernel_class(cpuinfo: Path = CPUINFO) -> str:
    """Return the architecture and its instruction sets in DECISIVE. CPUs with the same kernel class compute the same bits."""
    content = cpuinfo.read_text(errors="replace") if cpuinfo.exists() else ""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", content, re.MULTILINE)
    return " ".join([platform.machine(), *sorted(DECISIVE & set(flags[1].split() if flags else ()))])


VNNI = {"avx_vnni", "avx512_vnni"}
"""The instructions of x86 that multiply bytes four at a time and sum the products in 32 bits."""


def saturates(kernel_class: str) -> bool:
    """Return whether CPUs of this class sum products of bytes in 16 bits, where a sum that is too large becomes the largest number.

    x86 without VNNI does so, unless the weights are unsigned. arm64 does not do so, and has no avx2.
    """
    instructions = set(kernel_class.split())
    return "avx2" in instructions and instructions.isdisjoint(VNNI)
