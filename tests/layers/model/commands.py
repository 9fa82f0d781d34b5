"""The builder's command line, as tests call it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from handler.embedding.manifest import Manifest
from handler.errors import Backend
from layers.model import builder
from layers.model.configuration import Unsupported
from layers.model.sources import Source
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


def refused(model: Path, out: Path, precision: str = "fp32", bounds: tuple[float, float] | None = None) -> str:
    """Build in this process, which must be refused and leave nothing behind; the sentence. Ten times as fast as `refusal`."""
    before = set(out.parent.iterdir())
    with pytest.raises((Unsupported, Backend)) as caught:
        make(model, out, precision, bounds)
    assert set(out.parent.iterdir()) == before
    return str(caught.value)


def make(
    model: Path, out: Path, precision: str = "fp32", bounds: tuple[float, float] | None = None, passages: int = 50
) -> Manifest:
    """Build in this process, held against as few passages as tell a wrong model from a right one."""
    return builder.build(builder.Order(Source(model, model.name, "1"), out, precision, bounds, 1, passages), lambda _: None)
