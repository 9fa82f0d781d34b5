"""The definitions of the operators in numpy."""

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


def linear(values: Array, parts: Layer) -> Array:
    """Compute Linear by its definition: products of bytes are exact, and every float is rounded as IEEE 754 says."""
    weights, scales, bias, smoothing = parts
    smoothed = values * smoothing
    block = packed(weights).shape[2] * GROUP
    totals = np.zeros((len(values), weights.shape[1]), np.float32)
    for start in range(0, len(weights), block):
        part = smoothed[:, start : start + block]
        top = np.abs(part).max(axis=1, keepdims=True)
        steps = np.divide(np.float32(127), top, where=top > np.float32(1e-30), out=np.zeros_like(top))
        sums = np.rint(part * steps).astype(np.int32) @ weights[start : start + block].astype(np.int32)
        totals = fma(sums.astype(np.float32), np.broadcast_to(top / np.float32(127), sums.shape), totals)
    return fma(totals, np.broadcast_to(scales, totals.shape), np.broadcast_to(bias, totals.shape))


def attention(qkv: Array, heads: int, bias: Array | None = None) -> Array:
    """Compute Attention by its definition, softmax(Q K^T / sqrt(width) + bias) V, in float64."""
    texts, tokens, _ = qkv.shape
    query, key, value = qkv.astype(np.float64).reshape(texts, tokens, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1])
    scores += 0 if bias is None else bias
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: Array = (powers / powers.sum(axis=-1, keepdims=True) @ value).swapaxes(1, 2).reshape(texts, tokens, -1)
    return result


def unpacked(weights: Array, inputs: int, outputs: int) -> Array:
    """Return the weights (inputs, outputs) from those that the builder packed for Linear."""
    panels, blocks, groups, panel, group = weights.shape
    whole = (weights ^ ZERO_WEIGHT).view(np.int8).transpose(1, 2, 4, 0, 3).reshape(blocks * groups * group, panels * panel)
    return np.ascontiguousarray(whole[:inputs, :outputs])
