"""The C code is run under sanitizers, without Python and ONNX Runtime (`make sanitize`).

sanitized/driver.c has the operators' property tests, and threads of its own. There are no sanitizer libraries for arm64, so its
driver runs in QEMU: undefined behaviour traps, and each tensor ends at a page without permissions.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import ziglang

from layers.runtime.operators import build
from tests.layers.runtime.operators import PLAIN, PLAIN_SETS, Operators

pytestmark = pytest.mark.skipif("RUN_SANITIZED" not in os.environ, reason="`make sanitize` runs these")

SOURCES = Path(__file__).with_name("sanitized")
OPTIONS = ["-std=c17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-Wno-pass-failed", "-ffp-contract=off"]
SANITIZERS = {"asan and ubsan": "address,undefined", "tsan": "thread"}
AVX2 = ["-mavx2", "-mfma"]
NATIVE = {
    "x86_64": {"avx512_vnni": [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl", "vnni"))], "avx2": AVX2},
    "arm64": {"i8mm": ["-march=armv8.2-a+dotprod+i8mm"], "dotprod": ["-march=armv8.2-a+dotprod"]},
}
"""For each architecture, the options of the system's clang for each set of kernels."""
IN_PLAIN_C = {"x86_64": AVX2, "arm64": []}
SEED = "1"
EXAMPLES = "64"
"""Each of the eight operators is computed eight times in each of three sessions, two of these times with a large size."""


def compile_driver(compiler: Sequence[str | Path], sets: dict[str, list[str]], folder: Path, source: Path = build.HERE) -> Path:
    """Compile the driver with these sets of kernels, each with its own options; return its path."""
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(build.CACHE), "ZIG_LOCAL_CACHE_DIR": str(build.CACHE)}
    objects: list[str | Path] = []
    includes: list[str | Path] = [f"-I{source}", f"-I{SOURCES}", "-include", SOURCES / "older_clang.h"]
    for name, options in sets.items():
        objects.append(folder / f"{name}.o")
        names = [f"-DNAME={name}", f'-DPRODUCTS="products_{name}.h"']
        kernels: list[str | Path] = ["-c", source / "kernels.c", "-o", objects[-1]]
        subprocess.run([*compiler, *options, *includes, *names, *kernels], check=True, timeout=1800, env=environment)
    has = [f"-DHAS_{name.upper()}" for name in sets]
    files = [source / "operators.c", SOURCES / "driver.c", *objects]
    line: list[str | Path] = [*compiler, *has, *includes, *files, "-lm", "-lpthread", "-o", folder / "driver"]
    subprocess.run(line, check=True, timeout=1800, env=environment)
    return folder / "driver"


def clang(sanitizers: str) -> list[str | Path]:
    """Return the command line of the system's compiler with these sanitizers."""
    return ["clang", *OPTIONS, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]


def run(*command: str | Path) -> None:
    """Run the driver, print its output and check its result."""
    # ThreadSanitizer's library may fail to start if many bits of addresses are random.
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    ran = subprocess.run([*fixed, *command], capture_output=True, text=True, check=False, timeout=1800)
    sys.stdout.write(f"\n{ran.stdout}")
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert "all as defined" in ran.stdout


@pytest.mark.parametrize(("sanitizers", "name"), list(itertools.product(SANITIZERS, NATIVE[build.machine()])))
def test_the_operators_are_clean_and_as_defined(tmp_path: Path, sanitizers: str, name: str) -> None:
    """Each set of kernels for this architecture is tested, if the processor has the instructions."""
    try:
        Operators(kernels=name).options()
    except Exception as refusal:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
        pytest.skip(f"the kernels {name} do not run on this processor: {refusal}")
    sys.stdout.write(f"\n{sanitizers}")
    driver = compile_driver(clang(SANITIZERS[sanitizers]), {name: NATIVE[build.machine()][name]}, tmp_path)
    run(driver, SEED, EXAMPLES, name)


def test_kernels_in_plain_c_stay_within_their_memory_and_give_the_same_bits(tmp_path: Path) -> None:
    """They read the same memory as the real instructions. UBSan is left out: compiling would take minutes, and it runs above."""
    compiler = [*clang("address"), "-DEMULATED", f"-I{PLAIN}"]
    run(compile_driver(compiler, dict.fromkeys(PLAIN_SETS, IN_PLAIN_C[build.machine()]), tmp_path), SEED, EXAMPLES, *PLAIN_SETS)


@pytest.mark.skipif(not shutil.which("qemu-aarch64-static"), reason="QEMU runs arm64 (Debian's package qemu-user-static)")
def test_the_operators_of_arm64_are_as_defined_and_stay_within_their_memory(tmp_path: Path) -> None:
    """QEMU emulates a processor that has the instructions of both sets."""
    zig = Path(ziglang.__file__).with_name("zig")
    traps = ["-fsanitize=undefined", "-fsanitize-trap=undefined", "-DGUARDED"]
    sets = {name: [f"-mcpu={processor}"] for name, processor in build.KERNELS["arm64"].items()}
    driver = compile_driver([zig, "cc", "-target", "aarch64-linux-musl", "-static", *OPTIONS, *traps], sets, tmp_path)
    run("qemu-aarch64-static", "-cpu", "max", driver, SEED, EXAMPLES, *sets)


def test_a_read_after_the_end_of_a_tensor_is_found(tmp_path: Path) -> None:
    """If it were not, the tests above would prove nothing. Here, Mean reads one value too many."""
    source = shutil.copytree(build.HERE, tmp_path / "operators")
    text = (source / "mean.h").read_text()
    assert text.count("width - i)") == 2
    (source / "mean.h").write_text(text.replace("+ i, width - i);", "+ i, width - i + 1);", 1))
    name, options = next(reversed(NATIVE[build.machine()].items()))
    with pytest.raises(AssertionError, match="AddressSanitizer: heap-buffer-overflow"):
        run(compile_driver(clang("address"), {name: options}, tmp_path, source), SEED, EXAMPLES, name)
