"""Run the builder's command line in tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from handler.embedding.manifest import Manifest
from handler.errors import Backend
from layers.model import builder
from layers.model.configuration import Unsupported
from layers.model.overrides import Overrides
from layers.model.sources import Source
from layers.model.specification import FILES
from tests.conftest import ROOT


def build(model: Path | str, out: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the builder. Downloads are kept next to `out`."""
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
    """Build a model, which must succeed; return its folder."""
    done = build(model, out, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return out


def refusal(model: Path | str, out: Path, *arguments: str, **environment: str) -> str:
    """Build a model, which must be refused and write nothing; return the sentence."""
    done = build(model, out, *arguments, **environment)
    assert done.returncode == 1, done.stderr
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}-*"))
    (line,) = done.stderr.splitlines()
    assert line.startswith("Not built: ")
    return line.removeprefix("Not built: ")


def refused(
    model: Path,
    out: Path,
    precision: str = "fp32",
    bounds: tuple[float, float] | None = None,
    overrides: Overrides = FILES,
) -> str:
    """Do the same as `refusal` in this process, which is ten times as fast."""
    before = set(out.parent.iterdir())
    with pytest.raises((Unsupported, Backend)) as caught:
        make(model, out, precision, bounds, overrides=overrides)
    assert set(out.parent.iterdir()) == before
    return str(caught.value)


def make(
    model: Path,
    out: Path,
    precision: str = "fp32",
    bounds: tuple[float, float] | None = None,
    passages: int = 50,
    overrides: Overrides = FILES,
) -> Manifest:
    """Build a model in this process. Few passages are enough to recognize a wrong model."""
    order = builder.Order(Source(model, model.name, "1"), out, precision, bounds, 1, passages, overrides)
    return builder.build(order, lambda _: None)


def made(model: Path, out: Path, overrides: Overrides = FILES) -> Path:
    """Build a float32 model in this process; return its folder."""
    make(model, out, overrides=overrides)
    return out
