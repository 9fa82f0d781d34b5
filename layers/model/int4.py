"""Weights of 4 bits in blocks, fitted to the inputs that the layer has (GPTQ, Frantar et al. 2022, arXiv:2210.17323).

Rounding a weight causes an error. The weights of the same output that are not rounded yet are changed to compensate for it, as far
as the inputs of the layer are correlated in the calibration passages. Processors add floats in different orders, which can decide
how a weight is rounded. So a model built on another kind of processor may have other weights, and then another fingerprint.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.model.graph import CONTRIB, Graph
from layers.model.int8 import Int8
from layers.model.precision import Array, Linear, Standard

BITS = 4
LARGEST = 2**BITS - 1
BLOCK = 32
"""The number of inputs that share a scale and a zero point.

With 16, the smallest block of ONNX Runtime, the loss is a fifth smaller and the file a fifth larger.
"""
INT8_COMPUTE = 4
"""The `accuracy_level` at which the operator rounds inputs to 8 bits, block by block. The loss cannot be measured."""


@dataclass(frozen=True, slots=True)
class Moments:
    """The mean (in,) and covariance (in, in) of a linear layer's inputs."""

    mean: Array
    covariance: NDArray[np.float64]


class Int4(Standard):
    """Weights of 4 bits, a scale and a zero point for each block; embeddings like those of Int8.

    On all-MiniLM-L6-v2 (1,000 passages) mean and minimum cosine are 0.991 and 0.981; 0.96 and 0.92 with each weight rounded to the
    nearest, without zero points.
    """

    name = "int4"

    def __init__(self, moments: Iterator[tuple[str, Moments]]) -> None:
        """Quantize with the name and the input moments of each linear layer, in the order in which the layers are written."""
        self._moments = moments

    def embedding(self, graph: Graph, name: str, table: Array, ids: str) -> str:
        """Write int8 rows with a scale for each row."""
        return Int8({}).embedding(graph, name, table, ids)

    def linear(self, graph: Graph, value: str, layer: Linear) -> str:
        """Write one operator. Outliers need no other treatment, because each block has a scale of its own."""
        name = layer.name
        known, moments = next(self._moments)
        if known != name:
            msg = f"the moments are of {known}, the layer is {name}"
            raise ValueError(msg)
        blocks = Blocks.fitted(layer.weight, moments.covariance)
        # The fit uses the covariance only. The error at the mean input is a constant, so the bias removes it.
        bias = moments.mean @ (layer.weight - blocks.weight()) + (0 if layer.bias is None else layer.bias)
        constants = [graph.constant(f"{name}.{part}", content) for part, content in blocks.packed().items()]
        sizes = dict(zip("KN", layer.weight.shape, strict=True)) | {
            "bits": BITS,
            "block_size": BLOCK,
            "accuracy_level": INT8_COMPUTE,
        }
        added = graph.constant(f"{name}.bias", bias.astype(np.float32))
        product = graph.op(
            name, "MatMulNBits", value, *constants, "", added, domain=CONTRIB, **sizes
        )  # "": inputs keep their order
        return self.activated(graph, product, layer)


@dataclass(frozen=True, slots=True)
class Blocks:
    """A weight (in, out): `numbers` 0 to LARGEST (in, out), and for each block of BLOCK inputs a row of `scales` and `zeros`."""

    numbers: NDArray[np.uint8]
    scales: Array
    zeros: Array

    @classmethod
    def fitted(cls, weight: Array, covariance: NDArray[np.float64]) -> "Blocks":
        """Return the blocks whose outputs differ least from those of `weight`, for inputs of this covariance."""
        influence, importance = _influence(covariance)
        rest = weight.copy()
        numbers = np.zeros(weight.shape, np.uint8)
        scales, zeros = [], []
        for start in range(0, len(rest), BLOCK):
            end = min(start + BLOCK, len(rest))
            scale, zero = _range(rest[start:end], importance[start:end, np.newaxis])
            errors = np.zeros((end - start, rest.shape[1]), np.float32)
            for row in range(start, end):
                rounded = _rounded(rest[row], scale, zero)
                numbers[row] = rounded
                errors[row - start] = (rest[row] - (rounded - zero) * scale) / influence[row, row]
                rest[row + 1 : end] -= np.outer(influence[row, row + 1 : end], errors[row - start])
            rest[end:] -= influence[start:end, end:].T @ errors
            scales.append(scale)
            zeros.append(zero)
        return cls(numbers, np.stack(scales), np.stack(zeros))

    def weight(self) -> Array:
        """Return the weight (in, out) as floats."""
        scales, zeros = (np.repeat(values, BLOCK, axis=0)[: len(self.numbers)] for values in (self.scales, self.zeros))
        return (self.numbers - zeros) * scales

    def packed(self) -> dict[str, NDArray[np.generic]]:
        """Return the inputs of MatMulNBits: by output, then by block; two numbers in a byte, the first in the lower half."""
        inputs, outputs = self.numbers.shape
        count = len(self.scales)
        whole = np.pad(self.numbers, ((0, count * BLOCK - inputs), (0, 0))).T.reshape(outputs, count, BLOCK)
        zeros = np.pad(self.zeros.astype(np.uint8).T, ((0, 0), (0, count % 2)))
        return {"weight": _paired(whole), "scales": np.ascontiguousarray(self.scales.T), "zeros": _paired(zeros)}


DAMPING = 0.05
"""Added to each input's variance, as a share of the mean variance, so that inputs that were rarely seen have little influence."""
SHRINKING = (1.0, 0.9, 0.8, 0.7)
"""The shares of a block's range that are tried. A smaller range has finer steps, but clips the largest weights."""


def _influence(covariance: NDArray[np.float64]) -> tuple[Array, Array]:
    """Return how the weights of later inputs compensate for an error (upper triangle), and each input's variance."""
    damped = covariance.copy()
    variances = damped.diagonal().copy()
    damped[np.diag_indices(len(damped))] += DAMPING * variances.mean() + np.finfo(np.float32).tiny
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    return upper.astype(np.float32), damped.diagonal().astype(np.float32)


def _range(block: Array, importance: Array) -> tuple[Array, Array]:
    """Return the scale and zero point (out,) with the smallest error in a block (inputs, out), by importance (inputs, 1)."""
    low, high = np.minimum(block.min(axis=0), 0), np.maximum(block.max(axis=0), 0)
    tried = []
    for share in SHRINKING:
        scale = np.where(high > low, (high - low) * np.float32(share / LARGEST), np.float32(1))
        zero = np.clip(np.rint(-low * np.float32(share) / scale), 0, LARGEST)
        lost = np.square((_rounded(block, scale, zero) - zero) * scale - block) * importance
        tried.append((lost.sum(axis=0), scale, zero))
    losses, scales, zeros = (np.stack(values) for values in zip(*tried, strict=True))
    best = losses.argmin(axis=0)[np.newaxis]
    return np.take_along_axis(scales, best, 0)[0], np.take_along_axis(zeros, best, 0)[0]


def _rounded(values: Array, scale: Array, zero: Array) -> Array:
    return np.clip(np.rint(values / scale) + zero, 0, LARGEST)


def _paired(numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (numbers[..., ::2] | (numbers[..., 1::2] << BITS)).astype(np.uint8)
