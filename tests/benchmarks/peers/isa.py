"""Holding contenders back to AVX2 on a processor that has more: `ISA=avx2 make peers`.

Each library has a switch of its own for that. ONNX Runtime has none: who computes with it is left out, since a table must not mix
those that were held back with those that were not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.benchmarks.machine import AVX2, AVX512_VNNI, AVX_VNNI

OURS, OPENVINO, CTRANSLATE2, TORCH, ONNXRUNTIME = "our operators", "OpenVINO", "CTranslate2", "torch", "onnxruntime"
SWITCHES: Mapping[str, Mapping[str, str]] = {
    OURS: {"KERNELS": "avx2"},
    OPENVINO: {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    CTRANSLATE2: {"CT2_FORCE_CPU_ISA": "AVX2"},
    TORCH: {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
"""The environment that holds a library back to AVX2."""


class Unknown(Exception):  # noqa: N818 - a sentence for the person who asked
    """Contenders cannot be held back so."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A choice to hold contenders back or not, and the name under which their figures are kept."""

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

    def takes_part(self, library: str) -> bool:
        """Return whether who computes with this library can be measured."""
        return not self.held or library in SWITCHES

    def switches(self, library: str) -> Mapping[str, str]:
        """Return the environment that holds this library back, empty where nothing is."""
        return SWITCHES[library] if self.held else {}
