"""Sizes and attributes that do not fit are refused with a sentence, before anything is computed."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from layers.model.int8 import packed
from tests.layers.runtime.operators import Array, Operators


def zeros(*shape: int) -> Array:
    """Return an input whose values do not matter."""
    return np.zeros(shape, np.float32)


def weights(*shape: int) -> Array:
    """Return weights as bytes whose values do not matter."""
    return np.zeros(shape, np.uint8)


FITTING: Mapping[str, Mapping[str, Any]] = {
    "Linear": {
        "rows": zeros(1, 3, 20),
        "weights": packed(np.ones((20, 70), np.int8)),
        "scales": zeros(70),
        "bias": zeros(70),
        "smoothing": zeros(20),
        "gelu": 0,
    },
    "Product": {"values": zeros(1, 3, 20), "weights": zeros(20, 70), "bias": zeros(70)},
    "Attention": {
        "qkv": zeros(1, 5, 96),
        "bias": zeros(1, 4, 5, 5),
        "slopes": zeros(4),
        "heads": 4,
        "key_value_heads": 2,
        "causal": 1,
        "window": 3,
        "scale": 0.5,
    },
    "Rotate": {
        "qkv": zeros(1, 5, 96),
        "table": zeros(7, 2, 4),
        "query_gamma": zeros(12),
        "key_gamma": zeros(12),
        "heads": 4,
        "key_value_heads": 2,
        "epsilon": 1e-5,
    },
    "AddNorm": {"one": zeros(1, 3, 20), "other": zeros(1, 3, 20), "gamma": zeros(20), "beta": zeros(20), "epsilon": 1e-5},
    "Norm": {"values": zeros(1, 3, 20), "gamma": zeros(20), "beta": zeros(20), "epsilon": 1e-5, "centered": 0},
    "Gate": {"values": zeros(1, 3, 20), "activation": 2},
    "Mean": {"values": zeros(1, 3, 20)},
}
OTHER_INPUTS = "Linear: the weights are for another number of inputs"
OTHER_OUTPUTS = "Linear: the weights are for another number of outputs than the bias"
OTHER_SCALES = "Linear: scales or smoothing have another size than the weights"
NOT_PACKED = "Linear: weights are not (outputs / 16, blocks, block / 4, 16, 4)"
OTHER_GELU = "Linear: gelu is not from 0 to 1"
OTHER_EPSILON = "AddNorm: epsilon is negative or not a finite number"
OTHER_WIDTH = "Attention: the input's last size is not a multiple of heads + 2 * key_value_heads, or these do not divide heads"
OTHER_HEADS = "Attention: heads is not from 1 to 65536"
OTHER_BIAS = "Attention: the bias is not (1, heads, tokens, tokens)"
OTHER_SLOPES = "Attention: the slopes are not (heads)"
OTHER_ROTATED_WIDTH = "Rotate: the input's last size is not a multiple of heads + 2 * key_value_heads, or these do not divide heads"
OTHER_TABLE = "Rotate: the table is not (positions, 2, rotated / 2), or more numbers are rotated than a head has"
OTHER_ROTATED_GAMMA = "Rotate: query_gamma or key_gamma has another size than a head"
OTHER_WEIGHTS = "Product: the weights are not (inputs, outputs)"
OTHER_SIZES = "AddNorm: the inputs do not fit each other"
OTHER_GAMMA = "AddNorm: gamma or beta has another size than a row"
NOT_TEXTS = "the input is not (texts, tokens, "
TOO_MANY_DIMENSIONS = "an input has more dimensions than any input of this operator"
LEFT_OUT = None

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Linear", {"weights": packed(np.ones((16, 70), np.int8))}, OTHER_INPUTS),
    ("Linear", {"weights": packed(np.ones((24, 70), np.int8))}, OTHER_INPUTS),
    ("Linear", {"weights": packed(np.ones((400, 70), np.int8))}, OTHER_INPUTS),
    ("Linear", {"weights": weights(2, 0, 5, 16, 4)}, OTHER_INPUTS),
    ("Linear", {"rows": zeros(1, 3, 1), "smoothing": zeros(1), "weights": weights(2, 2, 1, 16, 4)}, OTHER_INPUTS),
    ("Linear", {"rows": zeros(1, 3, 0), "smoothing": zeros(0)}, OTHER_INPUTS),
    ("Linear", {"rows": zeros()}, OTHER_INPUTS),
    ("Linear", {"rows": zeros(1, 70_000), "weights": weights(2, 1, 17_500, 16, 4)}, "Linear: there are more than 65536 inputs"),
    ("Linear", {"rows": zeros(1, 1, 1, 1, 3, 20)}, TOO_MANY_DIMENSIONS),
    ("Linear", {"weights": packed(np.ones((20, 64), np.int8))}, OTHER_OUTPUTS),
    ("Linear", {"weights": packed(np.ones((20, 129), np.int8))}, OTHER_OUTPUTS),
    ("Linear", {"weights": weights(0, 1, 5, 16, 4)}, OTHER_OUTPUTS),
    ("Linear", {"bias": zeros(0)}, OTHER_OUTPUTS),
    ("Linear", {"weights": weights(20, 70)}, NOT_PACKED),
    ("Linear", {"weights": weights(5, 1, 5, 4, 16)}, NOT_PACKED),
    ("Linear", {"weights": np.zeros((2, 1, 5, 16, 4), np.int8)}, "Type 'tensor(int8)' of input parameter"),
    ("Linear", {"bias": zeros(69)}, OTHER_SCALES),
    ("Linear", {"scales": zeros(69)}, OTHER_SCALES),
    ("Linear", {"smoothing": zeros(19)}, OTHER_SCALES),
    ("Linear", {"smoothing": LEFT_OUT}, "has input size 4 not in range [min=5, max=5]"),
    ("Linear", {"gelu": LEFT_OUT}, "'gelu'"),
    ("Linear", {"gelu": 2}, OTHER_GELU),
    ("Linear", {"gelu": -(2**63)}, OTHER_GELU),
    ("Linear", {"fine": 2}, "Linear: fine is not from 0 to 1"),
    ("Attention", {"heads": 5}, OTHER_WIDTH),
    ("Attention", {"heads": 0}, OTHER_HEADS),
    ("Attention", {"heads": -4}, OTHER_HEADS),
    ("Attention", {"heads": LEFT_OUT}, "'heads'"),
    ("Attention", {"heads": 2**63 - 1}, OTHER_HEADS),
    ("Attention", {"heads": -(2**63)}, OTHER_HEADS),
    ("Attention", {"heads": 0, "qkv": zeros(0, 5, 96)}, OTHER_HEADS),
    ("Attention", {"qkv": zeros(1, 5, 95)}, OTHER_WIDTH),
    ("Attention", {"qkv": zeros(1, 5, 0)}, OTHER_WIDTH),
    ("Attention", {"qkv": zeros(5, 96)}, NOT_TEXTS),
    ("Attention", {"qkv": zeros(1, 1, 5, 96)}, NOT_TEXTS),
    ("Attention", {"bias": zeros(1, 3, 5, 5)}, OTHER_BIAS),
    ("Attention", {"bias": zeros(1, 4, 6, 6)}, OTHER_BIAS),
    ("Attention", {"bias": zeros(1, 4, 0, 0)}, OTHER_BIAS),
    ("Attention", {"bias": zeros()}, OTHER_BIAS),
    ("Attention", {"slopes": zeros(3)}, OTHER_SLOPES),
    ("Attention", {"slopes": zeros()}, OTHER_SLOPES),
    ("Attention", {"key_value_heads": LEFT_OUT, "qkv": zeros(1, 5, 95)}, OTHER_WIDTH),
    ("Attention", {"key_value_heads": 3}, OTHER_WIDTH),
    ("Attention", {"key_value_heads": 8}, OTHER_WIDTH),
    ("Attention", {"key_value_heads": 0}, "Attention: key_value_heads is not from 1 to 65536"),
    ("Attention", {"key_value_heads": -1}, "Attention: key_value_heads is not from 1 to 65536"),
    ("Attention", {"causal": 2}, "Attention: causal is not from 0 to 1"),
    ("Attention", {"causal": 1.0}, "Attention: causal is not a whole number"),
    ("Attention", {"window": -1}, "Attention: window is not from 0 to 2147483647"),
    ("Attention", {"window": 2**31}, "Attention: window is not from 0 to 2147483647"),
    ("Attention", {"scale": 1}, "Attention: scale is not a float"),
    ("Attention", {"scale": -0.5}, "Attention: scale is negative or not a finite number"),
    ("Attention", {"scale": math.nan}, "Attention: scale is negative or not a finite number"),
    ("Rotate", {"heads": 5}, OTHER_ROTATED_WIDTH),
    ("Rotate", {"key_value_heads": 3}, OTHER_ROTATED_WIDTH),
    ("Rotate", {"qkv": zeros(1, 5, 95)}, OTHER_ROTATED_WIDTH),
    ("Rotate", {"qkv": zeros(1, 5, 0)}, OTHER_ROTATED_WIDTH),
    ("Rotate", {"heads": 0}, "Rotate: heads is not from 1 to 65536"),
    ("Rotate", {"heads": LEFT_OUT}, "'heads'"),
    ("Rotate", {"qkv": zeros(5, 96)}, NOT_TEXTS),
    ("Rotate", {"table": zeros(7, 2, 7)}, OTHER_TABLE),
    ("Rotate", {"table": zeros(7, 3, 4)}, OTHER_TABLE),
    ("Rotate", {"table": zeros(7, 8)}, OTHER_TABLE),
    ("Rotate", {"table": zeros()}, OTHER_TABLE),
    ("Rotate", {"table": zeros(4, 2, 4)}, "Rotate: a text has more tokens than the table has positions"),
    ("Rotate", {"query_gamma": zeros(11)}, OTHER_ROTATED_GAMMA),
    ("Rotate", {"key_gamma": zeros(24)}, OTHER_ROTATED_GAMMA),
    ("Rotate", {"epsilon": -1e-5}, "Rotate: epsilon is negative or not a finite number"),
    ("Product", {"weights": zeros(19, 70)}, OTHER_WEIGHTS),
    ("Product", {"weights": zeros(70, 20)}, OTHER_WEIGHTS),
    ("Product", {"weights": zeros(20, 0), "bias": zeros(0)}, OTHER_WEIGHTS),
    ("Product", {"weights": zeros(1, 20, 70)}, OTHER_WEIGHTS),
    ("Product", {"values": zeros(1, 3, 0), "weights": zeros(0, 70)}, OTHER_WEIGHTS),
    ("Product", {"values": zeros()}, OTHER_WEIGHTS),
    ("Product", {"bias": zeros(69)}, "Product: the bias has another size than the outputs"),
    ("Norm", {"gamma": zeros(19)}, "Norm: gamma or beta has another size than a row"),
    ("Norm", {"beta": zeros(21)}, "Norm: gamma or beta has another size than a row"),
    ("Norm", {"values": zeros(1, 3, 0), "gamma": zeros(0), "beta": zeros(0)}, "Norm: gamma or beta has another size than a row"),
    ("Norm", {"values": zeros()}, "Norm: gamma or beta has another size than a row"),
    ("Norm", {"epsilon": LEFT_OUT}, "'epsilon'"),
    ("Norm", {"epsilon": math.inf}, "Norm: epsilon is negative or not a finite number"),
    ("Norm", {"centered": 2}, "Norm: centered is not from 0 to 1"),
    ("Gate", {"values": zeros(1, 3, 19)}, "Gate: a row has not two halves"),
    ("Gate", {"values": zeros(1, 3, 0)}, "Gate: a row has not two halves"),
    ("Gate", {"values": zeros()}, "Gate: a row has not two halves"),
    ("Gate", {"activation": LEFT_OUT}, "'activation'"),
    ("Gate", {"activation": 3}, "Gate: activation is not from 0 to 2"),
    ("AddNorm", {"other": zeros(1, 2, 20)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros(1, 0, 20)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros(1, 6, 20)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros(1, 20, 3)}, OTHER_SIZES),
    ("AddNorm", {"other": zeros()}, OTHER_SIZES),
    ("AddNorm", {"one": zeros(1, 3, 0), "other": zeros(1, 3, 0)}, OTHER_SIZES),
    ("AddNorm", {"gamma": zeros(19)}, OTHER_GAMMA),
    ("AddNorm", {"beta": zeros(21)}, OTHER_GAMMA),
    ("AddNorm", {"epsilon": LEFT_OUT}, "'epsilon'"),
    ("AddNorm", {"epsilon": -1e-5}, OTHER_EPSILON),
    ("AddNorm", {"epsilon": math.nan}, OTHER_EPSILON),
    ("AddNorm", {"epsilon": math.inf}, OTHER_EPSILON),
    ("AddNorm", {"epsilon": -math.inf}, OTHER_EPSILON),
    ("Mean", {"values": zeros(3, 20)}, NOT_TEXTS),
    ("Mean", {"values": zeros(1, 1, 3, 20)}, NOT_TEXTS),
    ("Mean", {"values": zeros(1, 0, 20)}, "Mean: a text has no tokens"),
]


@pytest.fixture(params=[1, 2])
def configured(request: pytest.FixtureRequest, operators: Operators) -> Operators:
    """Run a test with each set of kernels, on one thread and on two."""
    return replace(operators, threads=request.param, intra_op_threads=request.param)


@pytest.mark.parametrize("operator", FITTING)
def test_inputs_that_fit_are_computed(configured: Operators, operator: str) -> None:
    """If they were refused too, the refusals below would prove nothing."""
    assert np.isfinite(configured.run(operator, **FITTING[operator])).all()


@pytest.mark.parametrize(("operator", "changes", "sentence"), REFUSED)
def test_inputs_that_do_not_fit_are_refused_with_a_sentence(
    configured: Operators, operator: str, changes: dict[str, Any], sentence: str
) -> None:
    """The refusal is an exception, raised before anything is computed."""
    given = {name: value for name, value in {**FITTING[operator], **changes}.items() if value is not LEFT_OUT}
    with pytest.raises(Exception, match=r"\[ONNXRuntimeError\]") as raised:
        configured.run(operator, **given)
    assert sentence in str(raised.value)
