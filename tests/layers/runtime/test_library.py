"""The library of operators as it is compiled: the same bytes anywhere, and the same results on every processor.

`make without-vnni` and `make arm64` emulate other processors; here this one runs kernels that were compiled for older ones.
"""

import hashlib
import math
import platform
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
from layers.runtime.operators import build
from tests.conftest import INT8
from tests.layers.runtime.operators import attention, layer, linear, run, session

TEXTS = ["", "a", "Is it raining?", "Ünïcödé and numbers: 3.14159.", *(" ".join(["sunny", "day"] * n) for n in (9, 33, 64, 127))]
"""Of 2 to 256 tokens."""


@pytest.fixture(scope="module")
def for_avx2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with kernels for AVX2 alone."""
    if build.machine() != "x86_64":
        pytest.skip("this processor is of another kind")
    library = tmp_path_factory.mktemp("avx2") / "operators.so"
    build.compile_library(library, "x86_64", platform.system(), {"avx2": build.AVX2})
    return library


def test_avx2_gives_the_default_model_s_vectors_bit_for_bit(for_avx2: Path) -> None:
    """Both what is pooled and every token's vector."""
    tokenization = Tokenization(INT8, Manifest.read(INT8).max_length)
    best, avx2 = (session(INT8 / GRAPH, library) for library in (encoder_operators.LIBRARY, for_avx2))
    # Each and the same backwards, since a run takes several texts.
    sequences = [np.stack([tokens.ids, tokens.ids[::-1]]) for tokens in tokenization.tokenize(TEXTS, "right")]
    assert {2, 256} <= {ids.shape[1] for ids in sequences}
    for ids in sequences:
        for one, other in zip(best.run(None, {"input_ids": ids}), avx2.run(None, {"input_ids": ids}), strict=True):
            assert one.tobytes() == other.tobytes()


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(1, 40), width=st.integers(1, 90), outputs=st.integers(1, 140), seed=st.integers(0, 2**32 - 1))
def test_avx2_gives_every_operator_s_results_bit_for_bit(for_avx2: Path, rows: int, width: int, outputs: int, seed: int) -> None:
    """Of odd sizes, which the default model has none of."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(0, 3, shape).astype(np.float32)

    values, other, parts, gelu = normal(1, rows, width), normal(1, rows, width), layer(generator, width, outputs), seed % 2
    qkv, bias = normal(1, rows, 3 * 2 * width), normal(1, 2, rows, rows)
    gamma, beta = normal(width), normal(width)
    best, avx2 = (
        (
            linear(values, parts, library, gelu),
            attention(qkv, 2, bias, library),
            run("AddNorm", library, one=values, other=other, gamma=gamma, beta=beta, epsilon=1e-12),
            run("Mean", library, values=values),
        )
        for library in (encoder_operators.LIBRARY, for_avx2)
    )
    assert [result.tobytes() for result in best] == [result.tobytes() for result in avx2]


def numbers(*shape: int) -> np.ndarray:
    """Float32 around 0 that no generator of random numbers decides."""
    count = math.prod(shape)
    return ((np.arange(count) * 7919 % 2003 - 1001) / np.float32(500)).astype(np.float32).reshape(shape)


BITS = {1: "8cb8310586a9b993de18581ce9b4cfb26f42586da221f18646d6046be71a80f2"}
"""For each ENCODER_REVISION the sha256 of what the operators make of some numbers."""


def test_results_change_with_the_encoder_s_revision_alone() -> None:
    """Vectors that were remembered would be taken for those of the changed operators: whoever changes a bit raises it."""
    weights = (np.arange(400 * 70) * 7919 % 255 - 127).astype(np.int8).reshape(400, 70)
    parts = weights, numbers(70) ** 2, numbers(70), 1 + numbers(400) ** 2
    results = [
        linear(numbers(1, 9, 400), parts, gelu=0),
        linear(numbers(1, 9, 400) / 100, parts, gelu=1),
        attention(numbers(1, 37, 3 * 2 * 32), 2, numbers(1, 2, 37, 37)),
        run("AddNorm", one=numbers(1, 9, 70), other=numbers(1, 9, 70), gamma=numbers(70), beta=numbers(70), epsilon=1e-12),
        run("Mean", values=numbers(1, 9, 70)),
    ]
    found = hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest()
    assert found == BITS[ENCODER_REVISION]


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """That of another checkout, with nothing compiled before, is the one that is installed."""
    operators = shutil.copytree(build.HERE, tmp_path / "elsewhere/layers/runtime/operators")
    subprocess.run([sys.executable, operators / "build.py", tmp_path], check=True, timeout=300)
    assert (tmp_path / "encoder_operators/operators.so").read_bytes() == encoder_operators.LIBRARY.read_bytes()
