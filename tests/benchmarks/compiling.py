"""Compile a benchmark's C file with Zig's clang, as layers/runtime/operators/build.py compiles the operators."""

import os
import subprocess
from pathlib import Path

import ziglang

from layers.runtime.operators import build

OPTIONS = ("-std=c17", "-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-fno-sanitize=all")


def compiled(source: Path, out: Path, target: str, system: str, *options: str) -> Path:
    """Compile a file for a machine and a system, as build.py names them, and return where it is.

    Raises:
        subprocess.CalledProcessError: it does not compile. The compiler has printed the reason.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    zig = Path(ziglang.__file__).with_name("zig")
    machine = f"{build.ARCHITECTURES[target]}-{build.SYSTEMS[system]}"
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(build.CACHE), "ZIG_LOCAL_CACHE_DIR": str(build.CACHE)}
    subprocess.run([zig, "cc", "-target", machine, *OPTIONS, *options, source, "-o", out], env=environment, check=True)
    return out
