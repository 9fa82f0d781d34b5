"""What is done differently on CPUs of another kind, which /proc/cpuinfo tells: text in, options out."""

from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from handler.embedding.cpu import kernel_class
from handler.embedding.encoder import Encoder, session_options
from handler.embedding.manifest import Manifest
from tests.conftest import INT8

HASWELL = "flags\t\t: fpu sse4_2 fma avx f16c avx2 bmi2"
SKYLAKE = f"{HASWELL} avx512f avx512bw avx512dq avx512vl"
ICE_LAKE = f"{SKYLAKE} avx512_vnni"
ALDER_LAKE = f"{HASWELL} avx_vnni"
GRAVITON = "Features\t: fp asimd asimdhp asimddp"

AS_WRITTEN = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
EXTENDED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED


CPUS = (HASWELL, SKYLAKE, ICE_LAKE, ALDER_LAKE, GRAVITON, "")


def cpuinfo(told: str, folder: Path) -> Path:
    """How the kernel describes a CPU of two cores."""
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\n{told}\n\nprocessor\t: 1\n{told}\n")
    return path


def kernels(told: str, folder: Path) -> str:
    """The kernel class of a CPU that the kernel describes so."""
    return kernel_class(cpuinfo(told, folder))


@pytest.mark.parametrize(
    ("told", "precision", "unsigned"),
    [
        (HASWELL, "int8", True),
        (SKYLAKE, "int8", True),
        (ICE_LAKE, "int8", False),  # it would only be slower there
        (ALDER_LAKE, "int8", False),
        (GRAVITON, "int8", False),  # no such kernels
        ("", "int8", False),
        (HASWELL, "fp32", False),
        (HASWELL, "int4", False),  # its operator has kernels of its own, which do not saturate
    ],
)
def test_weights_are_made_unsigned_where_signed_ones_would_saturate_alone(
    told: str, precision: str, *, unsigned: bool, tmp_path: Path
) -> None:
    """On x86 without VNNI, for int8."""
    options = session_options(precision, kernels(told, tmp_path), portable=False)
    assert options.graph_optimization_level == (EXTENDED if unsigned else AS_WRITTEN)
    assert entry(options) == ("1" if unsigned else None)


def test_the_encoders_own_operators_need_no_such_care(tmp_path: Path) -> None:
    """Nothing saturates there, and the graph is loaded as it is written."""
    options = session_options("int8", kernels(HASWELL, tmp_path), portable=True)
    assert options.graph_optimization_level == AS_WRITTEN
    assert entry(options) is None


def entry(options: onnxruntime.SessionOptions) -> str | None:
    """The setting by its name in ONNX Runtime."""
    try:
        value: str = options.get_session_config_entry("session.x64quantprecision")
    except RuntimeError:  # it is not set
        return None
    return value


def test_what_computes_other_bits_has_another_kernel_class(tmp_path: Path) -> None:
    """It is part of the encoder's fingerprint, and so of every key, unless a model is portable: none finds a vector of another."""
    assert len({kernels(told, tmp_path) for told in CPUS}) == len(CPUS)
    assert kernels(HASWELL, tmp_path) == kernels(f"{HASWELL} sha_ni", tmp_path)


@pytest.mark.parametrize(("portable", "fingerprints"), [(True, 1), (False, len(CPUS))])
def test_vectors_are_shared_by_all_cpus_where_they_are_the_same_bits(fingerprints: int, tmp_path: Path, *, portable: bool) -> None:
    """A portable model's encoder has one fingerprint, any other's has one for each kind."""
    manifest = replace(Manifest.read(INT8), portable=portable)
    found = {Encoder(INT8, manifest, threads=1, cpuinfo=cpuinfo(told, tmp_path)).fingerprint for told in CPUS}
    assert len(found) == fingerprints
