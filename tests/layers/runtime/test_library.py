"""The compiled library of operators is the same bytes on every machine, and its results are the same bits on every processor.

This processor runs its own kernels, and those of others in plain C. `make without-vnni` and `make arm64` emulate other processors.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import encoder_operators
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.embedding.encoder import ENCODER_REVISION
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import Tokenization
from layers.runtime import operators as package
from layers.runtime.operators import build
from tests.conftest import INT8, ROOT
from tests.layers.runtime import revision
from tests.layers.runtime.operators import Operators, layer

TEXTS = ["", "a", "Is it raining?", "Ünïcödé and numbers: 3.14159.", *(" ".join(["sunny", "day"] * n) for n in (9, 33, 64, 127))]
"""Texts of 2 to 256 tokens."""


def test_every_set_of_kernels_gives_the_default_model_s_vectors_bit_for_bit(operators: Operators) -> None:
    """Both the pooled vectors and those of all tokens are compared."""
    tokenization = Tokenization(INT8, Manifest.read(INT8).max_length)
    best, others = (each.session(INT8 / GRAPH) for each in (Operators(), operators))
    # A run takes several texts: each text, and its tokens in reverse order.
    sequences = [np.stack([tokens.ids, tokens.ids[::-1]]) for tokens in tokenization.tokenize(TEXTS, "right")]
    assert {2, 256} <= {ids.shape[1] for ids in sequences}
    for ids in sequences:
        for one, other in zip(best.run(None, {"input_ids": ids}), others.run(None, {"input_ids": ids}), strict=True):
            assert one.tobytes() == other.tobytes()


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 40), width=st.integers(1, 90), outputs=st.integers(1, 140), seed=st.integers(0, 2**32 - 1))
def test_every_set_of_kernels_gives_every_operator_s_results_bit_for_bit(
    operators: Operators, rows: int, width: int, outputs: int, seed: int
) -> None:
    """The sizes are odd numbers too, which the default model does not have."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(0, 3, shape).astype(np.float32)

    values, other, parts, gelu = normal(1, rows, width), normal(1, rows, width), layer(generator, width, outputs), seed % 2
    qkv, bias = normal(1, rows, 3 * 2 * width), normal(1, 2, rows, rows)
    gamma, beta = normal(width), normal(width)
    best, others = (
        (
            each.linear(values, parts, gelu),
            each.attention(qkv, 2, bias),
            each.add_norm(values, other, gamma, beta),
            each.mean(values),
        )
        for each in (Operators(), operators)
    )
    assert [result.tobytes() for result in best] == [result.tobytes() for result in others]


def test_results_change_only_with_the_encoder_s_revision(operators: Operators) -> None:
    """Otherwise vectors cached before a change would be returned after it: a change of one bit must raise ENCODER_REVISION."""
    for asked, bits in ((revision.INPUTS, revision.BITS), (revision.FURTHER_INPUTS, revision.FURTHER_BITS)):
        results = [operators.run(operator, **inputs) for operator, inputs in asked]
        assert revision.sha256(results) == bits[ENCODER_REVISION]


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """A build from another folder, without any compiled files, gives the library that is installed."""
    operators = shutil.copytree(build.HERE, tmp_path / "elsewhere/layers/runtime/operators")
    subprocess.run([sys.executable, operators / "build.py", tmp_path], check=True, timeout=300)
    assert (tmp_path / "encoder_operators/operators.so").read_bytes() == encoder_operators.LIBRARY.read_bytes()


SHARED = "(PANEL|GROUP|ZERO_WEIGHT|MAX_THREADS)"
DEFINITION = re.compile(rf'"encoder\.(kernels|threads)"|CreateCustomOpDomain\("|(?m:^(#define )?{SHARED} )')
"""A second definition of something in interface.h, in C or in Python."""


def test_names_and_numbers_that_c_and_python_share_are_defined_once() -> None:
    """Python reads interface.h, and no other file defines them."""
    assert (package.DOMAIN, package.KERNELS_ENTRY, package.THREADS_ENTRY) == ("encoder", "encoder.kernels", "encoder.threads")
    assert (package.PANEL, package.GROUP, package.ZERO_WEIGHT, package.MAX_THREADS) == (16, 4, 128, 64)
    files = [*build.HERE.glob("*.[ch]"), *(ROOT / "layers/model").glob("*.py"), *(ROOT / "handler/embedding").glob("*.py")]
    assert [path.name for path in files if DEFINITION.search(path.read_text(encoding="utf-8"))] == ["interface.h"]


def test_the_installed_library_has_the_same_names_and_numbers() -> None:
    """The package of the runtime layer contains a copy of interface.h."""
    names = ("DOMAIN", "KERNELS_ENTRY", "THREADS_ENTRY", "MAX_THREADS", "PANEL", "GROUP", "ZERO_WEIGHT")
    assert [getattr(encoder_operators, name) for name in names] == [getattr(package, name) for name in names]


def test_a_kernel_with_a_large_array_on_the_stack_is_not_compiled(tmp_path: Path) -> None:
    """A thread's stack may be small: ONNX Runtime's threads have what the system gives them."""
    source = shutil.copytree(build.HERE, tmp_path / "operators")
    text = (source / "mean.h").read_text()
    assert text.count("        floats total = all(0);\n") == 1
    large = "        volatile float large[4096];\n        large[width % 4096] = 0;\n        floats total = all(0);\n"
    (source / "mean.h").write_text(text.replace("        floats total = all(0);\n", large))
    target, system = build.this_machine()
    name, processor = next(reversed(build.KERNELS[target].items()))
    build.compile_library(tmp_path / "unchanged.so", target, system, {name: processor})
    with pytest.raises(subprocess.CalledProcessError):
        build.compile_library(tmp_path / "large.so", target, system, {name: processor}, source=source)
