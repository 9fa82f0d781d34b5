"""The builder's command line, as tests call it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def build(model: Path | str, out: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the builder; downloads are kept beside `out`."""
    command = [
        sys.executable,
        "-m",
        "layers.model",
        str(model),
        "--out",
        str(out),
        "--cache",
        str(out.parent / "sources"),
        *arguments,
    ]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120)


def built(model: Path | str, out: Path, *arguments: str, **environment: str) -> Path:
    """Build, which must succeed; the folder built."""
    done = build(model, out, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return out


def refusal(model: Path | str, out: Path, *arguments: str, **environment: str) -> str:
    """Build, which must be refused with one sentence and leave nothing behind; the sentence."""
    done = build(model, out, *arguments, **environment)
    assert done.returncode == 1, done.stderr
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}-*"))
    (line,) = done.stderr.splitlines()
    assert line.startswith("Not built: ")
    return line.removeprefix("Not built: ")
