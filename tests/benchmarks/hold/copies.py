"""Copies of Python packages that trap where they recognize the processor, below build/held.

A copy has its own compiled libraries where they have a CPUID instruction, and links to all other files. It precedes the original on
PYTHONPATH. Without trap.c, which answers the traps, a process that loads a copy ends with SIGILL.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cpuid import is_library, trapping

FOLDER = Path("build", "held")
COMPLETE = "complete.json"
"""Written when a copy is complete: the libraries that trap, and the state of the original."""


class Unknown(Exception):  # noqa: N818 - a sentence for the person who asked
    """Processes cannot be held back so."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a package: the folder for PYTHONPATH, and the libraries that trap with their originals."""

    folder: Path
    originals: Mapping[Path, Path]

    @classmethod
    def of(cls, package: str, environment: Path) -> "Copy":
        """Copy a package of a virtual environment, unless its copy is as new.

        Raises:
            Unknown: the package is not there, or none of its libraries has a CPUID instruction.
        """
        # Wheels keep the libraries that they were linked to in a second folder.
        sources = [
            found for name in (package, f"{package}.libs") for found in environment.glob(f"lib/python3*/site-packages/{name}")
        ]
        files = [path for source in sources for path in _files(source)]
        state = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in files if is_library(path)}
        folder = (FOLDER / environment.name.lstrip(".") / package).resolve()
        complete = folder / COMPLETE
        known = json.loads(complete.read_bytes()) if complete.exists() else {}
        if known.get("state") != state:
            shutil.rmtree(folder, ignore_errors=True)
            copied = {path: folder / path.relative_to(source.parent) for source in sources for path in _files(source)}
            known = {"state": state, "traps": [str(path) for path, copy in copied.items() if _copy(path, copy)]}
            if not known["traps"]:
                msg = f"{package} in {environment} cannot be held back to AVX2: none of its libraries has a CPUID instruction"
                raise Unknown(msg)
            complete.write_text(json.dumps(known))
        root = sources[0].parent
        return cls(folder, {folder / Path(path).relative_to(root): Path(path).resolve() for path in known["traps"]})


def _copy(path: Path, copy: Path) -> bool:
    """Copy a library with traps, or link to a file without CPUID; return True if the copy traps."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    if is_library(path):
        content, count = trapping(path.read_bytes())
        if count:
            copy.write_bytes(content)
            return True
    copy.symlink_to(path.resolve())
    return False


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
