"""The setting ISA: `ISA=avx2` holds what is measured back to AVX2 on a processor that has more."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.machine import AVX2, AVX512_VNNI, AVX_VNNI

from .copies import Unknown
from .environment import Environment

OURS, OPENVINO, CTRANSLATE2, TORCH, ONNXRUNTIME = "our operators", "OpenVINO", "CTranslate2", "torch", "onnxruntime"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    OURS: ("onnxruntime", "numpy"),
    OPENVINO: ("openvino", "numpy"),
    CTRANSLATE2: ("ctranslate2", "numpy"),
    TORCH: ("torch", "numpy"),
    ONNXRUNTIME: ("onnxruntime", "numpy"),
}
"""The packages that recognize the processor by CPUID, by the library that computes."""
SWITCHES: Mapping[str, str] = {
    "KERNELS": "avx2",  # of our operators
    "ATEN_CPU_CAPABILITY": "avx2",  # of torch, where it only pools
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ",  # of the system's memcpy
}
"""The environment variables that hold back what has switches of its own."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A choice to hold processes back or not, and the name under which their figures are kept."""

    held: bool
    name: str

    @classmethod
    def of(cls, isa: str, processor_class: str) -> "Hold":
        """Read the setting ISA on a processor of a class: empty, or avx2, which changes nothing where there is no more than AVX2.

        Raises:
            Unknown: the setting is another, or this processor has no AVX2.
        """
        if isa not in {"", "avx2"}:
            msg = f"ISA must be avx2 or not set; it is {isa!r}"
            raise Unknown(msg)
        if isa and processor_class not in {AVX2, AVX_VNNI, AVX512_VNNI}:
            msg = f"ISA=avx2 needs a processor with AVX2; this one is {processor_class}"
            raise Unknown(msg)
        held = bool(isa) and processor_class != AVX2
        return cls(held, f"{processor_class} held back to AVX2" if held else processor_class)

    def environment(self, library: str, folder: Path) -> Environment:
        """Return what holds back the processes of a virtual environment that compute with a library; nothing if they are not held.

        Raises:
            Unknown: they cannot be held back here.
        """
        return Environment.holding(folder, PACKAGES[library], SWITCHES) if self.held else Environment()
