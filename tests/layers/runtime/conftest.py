"""Fixtures that run a test with every set of kernels that this machine can run: its own, and those in plain C."""

from pathlib import Path

import encoder_operators
import pytest

from layers.runtime.operators import build
from tests.layers.runtime.operators import PLAIN_SETS, Operators, compile_plain

IN_PLAIN_C = " in plain C"
SETS = [*build.KERNELS[build.machine()], *(name + IN_PLAIN_C for name in PLAIN_SETS)]


@pytest.fixture(scope="session")
def plain_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library whose sets of kernels are in plain C; the value is its path."""
    library = tmp_path_factory.mktemp("plain") / "operators.so"
    compile_plain(library)
    return library


@pytest.fixture(scope="session", params=SETS)
def operators(request: pytest.FixtureRequest) -> Operators:
    """Run a test with each set of kernels; skip those that this processor cannot run."""
    name = str(request.param)
    if name.endswith(IN_PLAIN_C):
        return Operators(request.getfixturevalue("plain_library"), name.removesuffix(IN_PLAIN_C))
    found = Operators(encoder_operators.LIBRARY, name)
    try:
        found.options()
    except Exception as refusal:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
        pytest.skip(f"the kernels {name} do not run on this processor: {refusal}")
    return found
