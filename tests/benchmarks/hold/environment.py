"""The environment variables by which a process is held back to AVX2."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self

from layers.runtime.operators import build
from tests.benchmarks.compiling import compiled

from .copies import FOLDER, Copy, Unknown

SOURCE = Path(__file__).with_name("trap.c")


@dataclass(frozen=True, slots=True)
class Environment:
    """The copies, the library and the environment variables that hold a process back to AVX2. By default there are none."""

    copies: Sequence[Copy] = ()
    trap: Path | None = None
    """The library that answers the traps of the copies."""
    switches: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def holding(cls, environment: Path, packages: Sequence[str], switches: Mapping[str, str]) -> Self:
        """Copy packages of a virtual environment, and compile the library that answers their traps.

        Raises:
            Unknown: this is not Linux on x86-64, the library does not compile, or a package cannot be held back.
        """
        if build.this_machine() != ("x86_64", "Linux"):
            msg = f"ISA=avx2 needs Linux on x86_64; this is {platform.system()} on {build.machine()}"
            raise Unknown(msg)
        return cls([Copy.of(package, environment) for package in packages], _trap(), switches)

    def over(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return a process's environment variables with those that hold it back."""
        if not self.trap:
            return dict(variables)
        paths = [*(str(copy.folder) for copy in self.copies), *filter(None, [variables.get("PYTHONPATH")])]
        return {**variables, **self.switches, "PYTHONPATH": os.pathsep.join(paths), "LD_PRELOAD": str(self.trap)}


def _trap() -> Path:
    """Compile trap.c, unless that is done. A process that runs has the file in memory, so a new source has a file of its own."""
    path = FOLDER / f"trap-{sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not path.exists():
        try:
            compiled(SOURCE, FOLDER / f"new-{path.name}", "x86_64", "Linux", "-shared").rename(path)
        except (OSError, subprocess.CalledProcessError) as reason:
            msg = f"ISA=avx2 needs the C compiler of the package ziglang, which does not compile {SOURCE.name}: {reason}"
            raise Unknown(msg) from reason
    return path.resolve()
