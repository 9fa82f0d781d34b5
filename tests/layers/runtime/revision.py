"""The expected bits of the operators' results for each revision of the encoder."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tests.layers.runtime.operators import Array, linear_inputs


def numbers(*shape: int) -> Array:
    """Return numbers around 0 that do not depend on a random number generator."""
    size = math.prod(shape)
    return ((np.arange(size) * 7919 % 2003 - 1001) / np.float32(500)).astype(np.float32).reshape(shape)


BITS = {
    1: "8cb8310586a9b993de18581ce9b4cfb26f42586da221f18646d6046be71a80f2",
    2: "c107cfe9b4989219d98abcebebaa21600c632694eb389d10508911eb788199d0",
}
"""For each ENCODER_REVISION, the sha256 of the operators' results for INPUTS."""


def _inputs() -> list[tuple[str, dict[str, Any]]]:
    weights = (np.arange(400 * 70) * 7919 % 255 - 127).astype(np.int8).reshape(400, 70)
    parts = weights, numbers(70) ** 2, numbers(70), 1 + numbers(400) ** 2
    return [
        ("Linear", {**linear_inputs(numbers(1, 9, 400), parts), "gelu": 0}),
        ("Linear", {**linear_inputs(numbers(1, 9, 400) / 100, parts), "gelu": 1}),
        ("Attention", {"qkv": numbers(1, 37, 3 * 2 * 32), "bias": numbers(1, 2, 37, 37), "heads": 2}),
        (
            "AddNorm",
            {"one": numbers(1, 9, 70), "other": numbers(1, 9, 70), "gamma": numbers(70), "beta": numbers(70), "epsilon": 1e-12},
        ),
        ("Mean", {"values": numbers(1, 9, 70)}),
    ]


INPUTS = _inputs()
"""The operators and their inputs."""

FURTHER_BITS = dict.fromkeys((1, 2), "8066034aeac0f3b8d3a259d084eb77d2a932d66272a01c8abbe7b2cccbc75c86")
"""For each ENCODER_REVISION, the sha256 of the operators' results for FURTHER_INPUTS."""

FURTHER_INPUTS: list[tuple[str, dict[str, Any]]] = [
    (
        "Attention",
        {
            "qkv": numbers(2, 90, 8 * 40),
            "bias": None,
            "slopes": numbers(4) ** 2,
            "heads": 4,
            "key_value_heads": 2,
            "causal": 1,
            "window": 37,
            "scale": 0.25,
        },
    ),
    (
        "Rotate",
        {
            "qkv": numbers(2, 9, 8 * 40),
            "table": numbers(9, 2, 17),
            "query_gamma": numbers(40),
            "key_gamma": numbers(40),
            "heads": 4,
            "key_value_heads": 2,
            "epsilon": 1e-6,
        },
    ),
    *(
        ("Norm", {"values": numbers(1, 9, 150), "gamma": numbers(150), "beta": numbers(150), "epsilon": 1e-6, "centered": centered})
        for centered in (0, 1)
    ),
    *(("Gate", {"values": 4 * numbers(1, 9, 150), "activation": activation}) for activation in range(3)),
    ("Product", {"values": numbers(9, 70), "weights": numbers(70, 150), "bias": numbers(150)}),
]
"""The operators and attributes that came after revision 1, which did not change the results for INPUTS."""


def sha256(results: Iterable[Array]) -> str:
    """Return the sha256 of the results for INPUTS."""
    return hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest()
