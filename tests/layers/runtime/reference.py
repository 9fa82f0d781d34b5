"""The definitions of the operators in numpy."""

import math
from collections.abc import Callable

import numpy as np

from layers.model.int8 import packed
from layers.runtime.operators import GROUP, ZERO_WEIGHT
from tests.layers.runtime.operators import Array, Layer


def fma(a: Array, b: Array, c: Array) -> Array:
    """Return the float32 that is nearest to a * b + c.

    In float64 the product is exact. If the sum is not, its last bit is made odd, so that rounding it to float32 is still correct.
    """
    product, c = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + c
    added = total - product
    lost = (product - (total - added)) + (c - added)
    even = total.view(np.int64) % 2 == 0
    odd: Array = np.where((lost != 0) & even, np.nextafter(total, np.copysign(np.inf, lost)), total)
    return odd.astype(np.float32)


def linear(values: Array, parts: Layer, fine: int = 0) -> Array:
    """Compute Linear by its definition: products of bytes are exact, and every float is rounded as IEEE 754 says."""
    weights, scales, bias, smoothing = parts
    smoothed = values * smoothing
    block = packed(weights).shape[2] * GROUP
    totals = np.zeros((len(values), weights.shape[1]), np.float32)
    for start in range(0, len(weights), block):
        numbers, step = rounded(smoothed[:, start : start + block], fine)
        sums = numbers @ weights[start : start + block].astype(np.int32)
        totals = fma(sums.astype(np.float32), np.broadcast_to(step, sums.shape), totals)
    return fma(totals, np.broadcast_to(scales, totals.shape), np.broadcast_to(bias, totals.shape))


def rounded(block: Array, fine: int) -> tuple[Array, Array]:
    """Round a block (rows, inputs) to whole numbers. Also return the step of each row (rows, 1); 0 if all inputs are too small."""
    top = np.abs(block).max(axis=1)
    summed = np.float32(2 if fine else 8)
    steps = 128 - summed / 2
    with np.errstate(over="ignore"):
        largest = signed_sums(block, fine).max(axis=(0, 2))
    by_sum = np.where(np.isfinite(largest), largest / steps, top / (steps / summed))
    step = np.where(top > np.float32(1e-30), np.maximum(top / np.float32(127), by_sum), np.float32(0))[:, np.newaxis]
    inverse = np.divide(np.float32(1), step, where=step > 0, out=np.zeros_like(step))
    return np.rint(block * inverse).astype(np.int32), step


def signed_sums(block: Array, fine: int) -> Array:
    """Return the sums that may be added in 16 bits (2, rows, sums): of positive numbers, and of the sizes of negative ones.

    With fine steps, each is of two numbers. Otherwise it is of eight of sixteen: 0, 1, 4, 5, 8, 9, 12 and 13, or the others.
    """
    spans = np.pad(block, ((0, 0), (0, -block.shape[1] % SPAN))).reshape(len(block), -1, SPAN)
    both = np.stack([np.maximum(spans, 0), np.maximum(-spans, 0)])
    pairs = both[..., ::2] + both[..., 1::2]
    if not fine:
        fours = pairs[..., : SPAN // 4] + pairs[..., SPAN // 4 :]
        pairs = fours[..., :2] + fours[..., 2:]
    sums: Array = pairs.reshape(2, len(block), -1)
    return sums


SPAN = 16


def attention(qkv: Array, heads: int, bias: Array | None = None, slopes: Array | None = None, **attributes: float) -> Array:
    """Compute Attention by its definition, softmax(scale Q K^T + bias - slope |i - j|) V over the keys seen, in float64."""
    key_value_heads, window = int(attributes.get("key_value_heads", 0)) or heads, attributes.get("window", 0)
    query, key, value = split(qkv.astype(np.float64), heads, key_value_heads)
    key, value = (np.repeat(each, heads // key_value_heads, axis=1) for each in (key, value))
    scores = query @ key.swapaxes(2, 3) * (attributes.get("scale", 0) or 1 / np.sqrt(query.shape[-1]))
    scores += 0 if bias is None else bias
    after = np.arange(scores.shape[-1]) - np.arange(scores.shape[-1])[:, np.newaxis]
    if slopes is not None:
        scores -= slopes[:, np.newaxis, np.newaxis] * np.abs(after)
    scores[..., (np.abs(after) > (window or len(after))) | ((after > 0) & bool(attributes.get("causal", 0)))] = -np.inf
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: Array = (powers / powers.sum(axis=-1, keepdims=True) @ value).swapaxes(1, 2).reshape(*qkv.shape[:2], -1)
    return result


def split(qkv: Array, heads: int, key_value_heads: int) -> list[Array]:
    """Return the queries, the keys and the values, each (texts, heads, tokens, width)."""
    texts, tokens, numbers = qkv.shape
    parts = qkv.reshape(texts, tokens, heads + 2 * key_value_heads, numbers // (heads + 2 * key_value_heads)).swapaxes(1, 2)
    return np.split(parts, [heads, heads + key_value_heads], axis=1)


def rotate(
    qkv: Array, table: Array, query_gamma: Array | None = None, key_gamma: Array | None = None, **attributes: float
) -> Array:
    """Compute Rotate by its definition in float64: pairs of numbers as complex ones, times the one on the unit circle."""
    heads, epsilon = int(attributes["heads"]), attributes.get("epsilon", 0)
    *rotated, values = split(qkv.astype(np.float64), heads, int(attributes.get("key_value_heads", heads)))
    cosines, sines = table[: qkv.shape[1]].astype(np.float64).swapaxes(0, 1)
    half, done = table.shape[2], []
    for part, gamma in zip(rotated, (query_gamma, key_gamma), strict=True):
        whole = part if gamma is None else norm(part, gamma, epsilon=epsilon, centered=0)
        turned = (whole[..., :half] + 1j * whole[..., half : 2 * half]) * (cosines + 1j * sines)
        done.append(np.concatenate([turned.real, turned.imag, whole[..., 2 * half :]], axis=-1))
    return np.concatenate([*done, values], axis=1).swapaxes(1, 2).reshape(qkv.shape)


def norm(values: Array, gamma: Array, beta: Array | None = None, *, epsilon: float, centered: int = 1) -> Array:
    """Compute Norm by its definition in float64: LayerNorm, or RMSNorm if it is not centred."""
    whole = values.astype(np.float64)
    whole = whole - centered * whole.mean(axis=-1, keepdims=True)
    result: Array = whole / np.sqrt(np.square(whole).mean(axis=-1, keepdims=True) + epsilon) * gamma
    return result if beta is None else result + beta


ACTIVATIONS: list[Callable[[float], float]] = [
    lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    lambda x: x / (1 + math.exp(min(700, -x))),
    lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
]
"""The activations of Gate by their number: gelu, silu, and gelu by tanh."""


def gate(values: Array, activation: int) -> Array:
    """Compute Gate by its definition in float64."""
    first, second = np.split(values.astype(np.float64), 2, axis=-1)
    activated: Array = np.vectorize(ACTIVATIONS[activation], otypes=[np.float64])(first)
    return activated * second


def product(values: Array, weights: Array, bias: Array | None = None) -> Array:
    """Compute Product bit for bit: each product is added in the order of the inputs, and each sum is rounded once."""
    shape = (*values.shape[:-1], weights.shape[1])
    totals = np.zeros(shape, np.float32) if bias is None else np.broadcast_to(bias, shape)
    for place, row in enumerate(weights):
        totals = fma(np.broadcast_to(values[..., place, np.newaxis], shape), np.broadcast_to(row, shape), totals)
    return totals


def unpacked(weights: Array, inputs: int, outputs: int) -> Array:
    """Return the weights (inputs, outputs) from those that the builder packed for Linear."""
    panels, blocks, groups, panel, group = weights.shape
    whole = (weights ^ ZERO_WEIGHT).view(np.int8).transpose(1, 2, 4, 0, 3).reshape(blocks * groups * group, panels * panel)
    return np.ascontiguousarray(whole[:inputs, :outputs])
