"""The options and fingerprints that depend on the kind of CPU, which /proc/cpuinfo describes."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import onnxruntime
import pytest

from handler.embedding.cpu import kernel_class
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Loading, Manifest, Optimization
from handler.embedding.session import LEVELS, session_options
from handler.errors import Backend
from layers.model.precision import PRECISIONS
from tests.conftest import INT8

HASWELL = "flags\t\t: fpu sse4_2 fma avx f16c avx2 bmi2"
SKYLAKE = f"{HASWELL} avx512f avx512bw avx512dq avx512vl"
ICE_LAKE = f"{SKYLAKE} avx512_vnni"
ALDER_LAKE = f"{HASWELL} avx_vnni"
GRAVITON = "Features\t: fp asimd asimdhp asimddp"
CPUS = (HASWELL, SKYLAKE, ICE_LAKE, ALDER_LAKE, GRAVITON, "")

AS_WRITTEN = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
EXTENDED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED


def cpuinfo(flags: str, folder: Path) -> Path:
    """Write the file with which Linux describes a CPU of two cores."""
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\n{flags}\n\nprocessor\t: 1\n{flags}\n")
    return path


def kernels(flags: str, folder: Path) -> str:
    """Return the kernel class of a CPU with these flags."""
    return kernel_class(cpuinfo(flags, folder))


def entry(options: onnxruntime.SessionOptions, name: str) -> str | None:
    """Return an entry of a session's configuration, or None."""
    try:
        value: str = options.get_session_config_entry(name)
    except RuntimeError:  # it is not set
        return None
    return value


@pytest.mark.parametrize(
    ("flags", "precision", "is_unsigned"),
    [
        (HASWELL, "int8", True),
        (SKYLAKE, "int8", True),
        (ICE_LAKE, "int8", False),  # unsigned weights would only be slower there
        (ALDER_LAKE, "int8", False),
        (GRAVITON, "int8", False),  # no such kernels
        ("", "int8", False),
        (HASWELL, "fp32", False),
        (HASWELL, "int4", False),  # its operator has kernels of its own, which do not saturate
    ],
)
def test_weights_are_made_unsigned_only_where_signed_ones_would_saturate(
    flags: str, precision: str, *, is_unsigned: bool, tmp_path: Path
) -> None:
    """That is on x86 without VNNI, for int8."""
    traits = PRECISIONS[precision]
    manifest = replace(
        Manifest.read(INT8),
        operators=False,
        loading=traits.loading,
        loading_where_bytes_saturate=traits.loading_where_bytes_saturate,
    )
    options = session_options(manifest, kernels(flags, tmp_path))
    assert options.graph_optimization_level == (EXTENDED if is_unsigned else AS_WRITTEN)
    assert entry(options, "session.x64quantprecision") == ("1" if is_unsigned else None)


def test_a_graph_of_the_encoder_s_own_operators_is_loaded_as_it_is_written_on_every_cpu(tmp_path: Path) -> None:
    """Their sums of products do not saturate."""
    for flags in CPUS:
        options = session_options(Manifest.read(INT8), kernels(flags, tmp_path))
        assert options.graph_optimization_level == AS_WRITTEN
        assert entry(options, "session.x64quantprecision") is None


def test_the_manifest_decides_the_optimization_level_and_the_session_s_entries(tmp_path: Path) -> None:
    """Without the encoder's operators, no entry for them is set."""
    loading = Loading("basic", {"session.disable_prepacking": "1"})
    manifest = replace(Manifest.read(INT8), operators=False, loading=loading)
    options = session_options(manifest, kernels(ICE_LAKE, tmp_path), kernels="avx2")
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert entry(options, "session.disable_prepacking") == "1"
    assert entry(options, "encoder.kernels") is None


def test_every_optimization_level_that_a_manifest_can_name_is_one_of_onnx_runtime_s() -> None:
    """A manifest with another name is refused when it is read."""
    assert LEVELS.keys() == set(get_args(Optimization))


def test_cpus_that_compute_other_bits_have_another_kernel_class(tmp_path: Path) -> None:
    """The class is a part of the fingerprint of a model that is not portable, so no CPU finds a vector of another kind of CPU."""
    assert len({kernels(flags, tmp_path) for flags in CPUS}) == len(CPUS)
    assert kernels(HASWELL, tmp_path) == kernels(f"{HASWELL} sha_ni", tmp_path)


@pytest.mark.parametrize(("portable", "fingerprints"), [(True, 1), (False, len(CPUS))])
def test_cpus_share_cached_vectors_if_these_are_the_same_bits_on_all_of_them(
    fingerprints: int, tmp_path: Path, *, portable: bool
) -> None:
    """The encoder of a portable model has one fingerprint; that of any other model has one for each kind of CPU."""
    manifest = replace(Manifest.read(INT8), portable=portable)
    found = {Encoder(INT8, manifest, threads=1, cpuinfo=cpuinfo(flags, tmp_path)).fingerprint for flags in CPUS}
    assert len(found) == fingerprints


@pytest.mark.parametrize("name", ["", "x" * 2000])
def test_a_session_entry_that_onnx_runtime_refuses_is_reported_by_its_name_and_not_by_the_kernels(name: str) -> None:
    """The manifest is at fault, not the setting KERNELS."""
    loading = Loading(entries={name: "1"})
    manifest = replace(Manifest.read(INT8), loading=loading, loading_where_bytes_saturate=loading)
    with pytest.raises(Backend, match=rf"^ONNX Runtime refuses the session entry '{name[:100]}' of manifest\.json: "):
        session_options(manifest, "")
