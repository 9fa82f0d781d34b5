"""Compile the operators for one kind of machine: `python build.py FOLDER MACHINE`, into a Python package in FOLDER.

The compiler is Zig's clang, which is a Python package and can compile for every system on every other.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import ziglang

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[2] / "build" / "zig"

AVX2 = "x86_64+avx2+fma"
KERNELS = {
    "x86_64": {"avx512_vnni": f"{AVX2}+avx512f+avx512bw+avx512dq+avx512vl+avx512vnni", "avx2": AVX2},
    "arm64": {"i8mm": "generic+dotprod+i8mm", "dotprod": "generic+dotprod"},  # from Graviton3 on; Graviton2, and every Mac
}
"""The sets of kernels of each architecture: the name in processor.h, and the processor in Zig's notation."""
SYSTEMS = {"Linux": "linux-gnu.2.17", "Darwin": "macos"}
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}

OPTIONS = (
    *("-std=c17", "-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-fno-sanitize=all"),
    "-Wframe-larger-than=8192",  # no large array on a thread's stack: the largest frame is that of linear, 3,000 bytes with AVX-512
    "-mprefer-vector-width=512",
    # The bits must be the same on every processor, so products and sums are fused only where the source says so.
    *("-ffp-contract=off", "-fno-math-errno"),
)


def machine() -> str:
    """Return the architecture of this machine, as KERNELS names it."""
    return {"aarch64": "arm64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())


def this_machine() -> tuple[str, str]:
    """Return the architecture and the operating system of this machine."""
    return machine(), platform.system()


def compile_library(
    out: Path, target: str, system: str, processors: Mapping[str, str], options: Sequence[str] = (), source: Path = HERE
) -> None:
    """Compile the library for the architecture `target` to `out`.

    Args:
        out: the file that is written.
        target: the architecture, as KERNELS names it.
        system: the operating system, as SYSTEMS names it.
        processors: the sets of kernels, all or some of KERNELS[target].
        options: further options of the compiler, for tests.
        source: the folder of the sources, for tests.

    Raises:
        subprocess.CalledProcessError: the source does not compile. The compiler has printed the reason.
    """
    zig = Path(ziglang.__file__).with_name("zig")
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(CACHE), "ZIG_LOCAL_CACHE_DIR": str(CACHE)}
    command = [str(zig), "cc", "-target", f"{ARCHITECTURES[target]}-{SYSTEMS[system]}", *OPTIONS, *options]
    with tempfile.TemporaryDirectory() as scratch:
        objects = []
        for name, processor in processors.items():
            objects.append(str(Path(scratch, f"{name}.o")))
            names = [f"-DNAME={name}", f'-DPRODUCTS="products_{name}.h"']
            line = [*command, f"-mcpu={processor}", *names, "-c", "kernels.c", "-o", objects[-1]]
            subprocess.run(line, cwd=source, env=environment, check=True)
        compiled = [f"-DHAS_{name.upper()}" for name in processors]
        line = [*command, *compiled, "-shared", "-s", "operators.c", *objects, "-o", str(out)]
        subprocess.run(line, cwd=source, env=environment, check=True)


def main() -> None:
    """Write the package into the folder that the command line names: for Lambda on the named architecture, or for this machine."""
    folder, *targets = sys.argv[1:]
    package = Path(folder, "encoder_operators").resolve()
    package.mkdir(parents=True, exist_ok=True)
    target, system = (targets[0], "Linux") if targets else this_machine()
    if target not in KERNELS or system not in SYSTEMS:
        sys.exit(f"There are no operators for {system} on {target}: {', '.join(KERNELS)} with {' or '.join(SYSTEMS)} have them.")
    for name in ("__init__.py", "interface.h"):
        shutil.copy(HERE / name, package)
    compile_library(package / "operators.so", target, system, KERNELS[target])


if __name__ == "__main__":
    main()
