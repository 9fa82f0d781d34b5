"""A model's fingerprint does not depend on the layout of weights in their file."""

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st

from handler.embedding.manifest import GRAPH, WEIGHTS, Manifest
from layers.model.int8 import packed
from layers.model.reference_layout import REFERENCE_PANEL, in_reference_layout, reference_digests
from layers.runtime.operators import GROUP
from tests.conftest import FP32, INT8

DEFAULT = "3776d7a95c4a5629ed376bf80fd009d851048b5f456874a12140692f59c13d4a"
"""The fingerprint of the default model since its first layout, which had panels of 64 outputs."""


def test_the_default_model_keeps_the_fingerprint_under_which_its_vectors_are_cached() -> None:
    """Change it only if vectors change, and then raise ENCODER_REVISION or change the model."""
    assert Manifest.read(INT8).fingerprint == DEFAULT


def test_files_that_have_one_layout_are_their_own_reference() -> None:
    """The weights of a float32 model have no special layout."""
    assert reference_digests(FP32, onnx.load(FP32 / GRAPH, load_external_data=False)) == {}
    assert Manifest.read(FP32).reference_files == {}
    assert Manifest.read(INT8).reference_files.keys() == {GRAPH, WEIGHTS}


@given(inputs=st.integers(1, 400), outputs=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_the_reference_layout_holds_every_weight_in_its_place(inputs: int, outputs: int, seed: int) -> None:
    """Its shape is (out / 64, blocks, block / 4, 64, 4). Padding is 128, which is a weight of 0."""
    weight = np.random.default_rng(seed).integers(-127, 128, (inputs, outputs)).astype(np.int8)
    found = in_reference_layout(packed(weight))
    assert found.shape[0] == -(-outputs // REFERENCE_PANEL)
    assert found.shape[3:] == (REFERENCE_PANEL, GROUP)
    rows = found.transpose(1, 2, 4, 0, 3).reshape(-1, found.shape[0] * REFERENCE_PANEL).astype(np.int16) - 128
    assert np.array_equal(rows[:inputs, :outputs], weight)
    assert not rows[inputs:].any()
    assert not rows[:, outputs:].any()
