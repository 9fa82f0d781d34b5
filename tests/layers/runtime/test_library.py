"""The library of operators as it is compiled: the same bytes anywhere, and the same results on every processor.

`make without-vnni` and `make arm64` emulate other processors; here this one runs its own kernels, and the others in plain C.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import encoder_operators
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.embedding.encoder import ENCODER_REVISION
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import Tokenization
from layers.runtime.operators import build
from tests.conftest import INT8
from tests.layers.runtime import revision
from tests.layers.runtime.operators import Operators, layer

TEXTS = ["", "a", "Is it raining?", "Ünïcödé and numbers: 3.14159.", *(" ".join(["sunny", "day"] * n) for n in (9, 33, 64, 127))]
"""Of 2 to 256 tokens."""


def test_every_set_of_kernels_gives_the_default_model_s_vectors_bit_for_bit(operators: Operators) -> None:
    """Both the pooled ones and every token's."""
    tokenization = Tokenization(INT8, Manifest.read(INT8).max_length)
    best, others = (each.session(INT8 / GRAPH) for each in (Operators(), operators))
    # Each and the same backwards, since a run takes several texts.
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
    """Of odd sizes, which the default model has none of."""
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


def test_results_change_with_the_encoder_s_revision_alone(operators: Operators) -> None:
    """Vectors that were cached would be taken for those of the changed operators: whoever changes a bit raises it."""
    results = [operators.run(operator, **inputs) for operator, inputs in revision.INPUTS]
    assert revision.sha256(results) == revision.BITS[ENCODER_REVISION]


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """That of another checkout, with nothing compiled before, is the one that is installed."""
    operators = shutil.copytree(build.HERE, tmp_path / "elsewhere/layers/runtime/operators")
    subprocess.run([sys.executable, operators / "build.py", tmp_path], check=True, timeout=300)
    assert (tmp_path / "encoder_operators/operators.so").read_bytes() == encoder_operators.LIBRARY.read_bytes()
