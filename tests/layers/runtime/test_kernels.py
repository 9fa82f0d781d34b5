"""The entries of a session's configuration choose the kernels and the number of threads."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layers.runtime.operators import KERNELS_ENTRY, build
from tests.layers.runtime.operators import PLAIN_SETS, Array, Operators, compile_plain, layer

F32 = np.float32
FLAGS = {"avx512_vnni": "avx512_vnni", "avx2": "avx2", "i8mm": "i8mm", "dotprod": "asimddp"}
"""Linux's name of the instruction set that decides whether a processor can run each set of kernels."""
REFUSED = "this processor lacks the instructions of these kernels, or no kernels have this name"


def normal(generator: np.random.Generator, *shape: int) -> Array:
    """Return random numbers around 0."""
    return generator.normal(0, 1, shape).astype(F32)


# --- Kernels ----------------------------------------------------------------------------------------------


def test_a_session_reports_the_kernels_that_it_uses(operators: Operators) -> None:
    """They are the ones that its configuration names."""
    assert operators.options().get_session_config_entry(KERNELS_ENTRY) == operators.kernels


def test_a_session_that_names_kernels_logs_no_warning(capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime would log one if the entry of its configuration were written a second time."""
    fastest = Operators().options().get_session_config_entry(KERNELS_ENTRY)
    Operators(kernels=fastest).options()
    assert "Config with key" not in capfd.readouterr().err


def test_a_session_that_names_no_kernels_uses_the_fastest_of_its_processor(plain_library: Path) -> None:
    """The sets are listed from the fastest to the slowest."""
    assert Operators(plain_library).options().get_session_config_entry(KERNELS_ENTRY) == PLAIN_SETS[0]
    available = [name for name in build.KERNELS[build.machine()] if runs(name)]
    assert Operators().options().get_session_config_entry(KERNELS_ENTRY) == available[0]


def runs(name: str) -> bool:
    """Return whether the installed library accepts a set of kernels on this processor."""
    try:
        Operators(kernels=name).options()
    except Exception as refusal:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
        return REFUSED not in str(refusal)
    return True


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists a processor's instructions there")
@pytest.mark.parametrize("name", FLAGS)
def test_kernels_that_the_processor_lacks_are_refused_and_no_others(name: str) -> None:
    """Linux lists the processor's instruction sets."""
    flags = re.search(r"(?m)^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text())
    assert flags
    assert runs(name) == (name in build.KERNELS[build.machine()] and FLAGS[name] in flags[1].split())


@pytest.mark.parametrize("name", ["avx", "AVX2", "avx2 ", "plain", "avx512_vnni,avx2", "\N{SNOWMAN}"])
def test_kernels_with_an_unknown_name_are_refused_with_a_sentence(name: str) -> None:
    """No other kernels are used instead."""
    with pytest.raises(Exception, match=REFUSED):
        Operators(kernels=name).options()


def test_a_name_longer_than_any_is_refused(plain_library: Path) -> None:
    """It is not truncated to a known name."""
    with pytest.raises(Exception, match=REFUSED):
        Operators(plain_library, kernels="dotprod" + "x" * 500).options()


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a library from altered sources: only the kernels called dotprod add 1 to each result that they store."""
    folder = tmp_path_factory.mktemp("altered")
    source = shutil.copytree(build.HERE, folder / "operators")
    vectors = source / "vectors.h"
    text = vectors.read_text()
    store = "ALWAYS_INLINE void store(float *to, floats values, size_t lanes) {\n"
    assert text.count(store) == 1
    only_there = "#define dotprod 1\n#if NAME\n#define MORE 1\n#else\n#define MORE 0\n#endif\n#undef dotprod\n"
    vectors.write_text(only_there + text.replace(store, f"{store}    values += (float)MORE;\n"))
    compile_plain(folder / "operators.so", source, sets=("dotprod", "avx512_vnni"))
    return folder / "operators.so"


def results(operators: Operators) -> dict[str, Array]:
    """Return one result of each operator."""
    generator = np.random.default_rng(1)
    values, parts = normal(generator, 1, 9, 60), layer(generator, 60, 20)
    return {
        "Linear": operators.linear(values, parts),
        "Product": operators.run("Product", values=values, weights=normal(generator, 60, 20)),
        "Attention": operators.attention(values, 2),
        "Rotate": operators.run("Rotate", qkv=values, table=normal(generator, 9, 2, 5), heads=2),
        "AddNorm": operators.add_norm(values, values[:, ::-1], normal(generator, 60), normal(generator, 60)),
        "Norm": operators.run("Norm", values=values, gamma=normal(generator, 60), epsilon=1e-5),
        "Gate": operators.run("Gate", values=values, activation=1),
        "Mean": operators.mean(values),
    }


def test_the_kernels_that_a_session_names_are_the_ones_that_are_called(altered: Path, plain_library: Path) -> None:
    """In a library where the results of one set are different, each session has the results of its own set.

    All sessions are in one process, and use one set after the other.
    """
    expected = results(Operators(plain_library, "avx512_vnni"))
    for name in ("dotprod", "avx512_vnni", "dotprod"):
        found = results(Operators(altered, name))
        for operator, values in found.items():
            assert np.array_equal(values, expected[operator]) == (name == "avx512_vnni"), f"{operator} of {name}"


# --- Threads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threads", "intra_op_threads"), [(2, 1), (2, 2), (2, 3), (3, 2), (3, 3), (64, 3)])
@pytest.mark.parametrize("size", [1, 3])
def test_results_on_several_threads_are_the_bits_of_one(
    operators: Operators, size: int, threads: int, intra_op_threads: int
) -> None:
    """Some of the work is too small to be shared; the rest is shared by rows, by outputs or by heads."""
    generator, shared = np.random.default_rng(size), replace(operators, threads=threads, intra_op_threads=intra_op_threads)
    for rows in (5, 17, 41):  # 5 rows are shared by outputs
        values, parts = normal(generator, rows, 250 * size), layer(generator, 250 * size, 200 * size + 1)
        assert shared.linear(values, parts).tobytes() == operators.linear(values, parts).tobytes()
    for texts, tokens, heads in ((1, 40 * size, 3), (3, 23 * size, 2), (1, 50 * size, 1)):
        qkv, bias = normal(generator, texts, tokens, 3 * heads * 40), normal(generator, 1, heads, tokens, tokens)
        assert shared.attention(qkv, heads, bias).tobytes() == operators.attention(qkv, heads, bias).tobytes()
    one, other = normal(generator, 3, 101 * size, 150 * size), normal(generator, 1, 101 * size, 150 * size)
    gamma, beta = normal(generator, 150 * size), normal(generator, 150 * size)
    assert shared.add_norm(one, other, gamma, beta).tobytes() == operators.add_norm(one, other, gamma, beta).tobytes()
    assert shared.mean(one).tobytes() == operators.mean(one).tobytes()


@pytest.mark.parametrize("threads", ["0", "-1", "65", "two", "2x", " ", "1e1", "9" * 40, "1.5"])
def test_an_invalid_number_of_threads_is_refused_with_a_sentence(threads: str) -> None:
    """Numbers from 1 to 64 are accepted."""
    with pytest.raises(Exception, match=r"encoder\.threads is not a number from 1 to 64"):
        Operators(threads=threads).options()
    for accepted in (1, 64):
        Operators(threads=accepted).options()
