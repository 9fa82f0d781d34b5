"""The range of each dimension of a built model's vectors, by which int8 and uint8 vectors are made, and the sizes that have ranges.

They are the ranges of the very model that is served, for normalized vectors of the calibration passages.
"""

import re
from collections.abc import Sequence

import numpy as np

from handler.embedding.encoders import LoadedEncoder
from handler.embedding.tokenization import Tokenization
from handler.finishing import finish
from handler.service import Options
from handler.vector_types import Ranges, encode_ranges
from handler.vectors import Vectors
from layers.model.configuration import Unsupported, shown

GRID = np.float32(1024)
"""Ranges are widened to multiples of 1 / GRID: kinds of CPU that give other last bits still give the same manifest.

This costs at most 2 of the 256 steps of a range that is a quarter wide, as those of all-MiniLM-L6-v2 are.
"""
MOST_SIZES = 16
CARD_SIZES = re.compile(r'"matryoshka_dims"\s*:\s*\[([\d\s,]{1,1000})\]')
"""The loss's parameters, as Sentence Transformers writes them into the card of a model that it trains."""


def measure(encoder: LoadedEncoder, tokenization: Tokenization, passages: Sequence[str], prompts: Sequence[str]) -> Vectors:
    """Return the pooled vectors of passages; the model's prompts stand before them in turn, for a prompt moves every vector."""
    prompts = list(dict.fromkeys(["", *prompts]))
    groups = []
    for place, prompt in enumerate(prompts):
        texts = [prompt + passage for passage in passages[place :: len(prompts)]]
        sequences = [tokens.ids for tokens in tokenization.tokenize(texts, "right")]
        groups.append(encoder.encode(sequences, prompt_tokens=tokenization.prompt_tokens(prompt)))
    return np.concatenate(groups)


def ranges(pooled: Vectors, sizes: Sequence[int]) -> dict[str, str]:
    """Return the ranges of pooled vectors as a manifest holds them, for each number of dimensions of `sizes` and for all."""
    found = {size: range_of(finish(pooled, Options(dimensions=size), normalize=True)) for size in {*sizes, pooled.shape[1]}}
    return {str(size): encode_ranges(found[size]) for size in sorted(found)}


def range_of(vectors: Vectors) -> Ranges:
    """Return the least and the largest number of each dimension (2, dimensions), widened to the grid."""
    least, largest = np.floor(vectors.min(axis=0) * GRID), np.ceil(vectors.max(axis=0) * GRID)
    return (np.stack([least, largest]) / GRID).astype(np.float32)


def sizes(named: Sequence[int], configured: object, card: str, dimension: int) -> tuple[int, ...]:
    """Return the numbers of dimensions below `dimension` that a model was trained to be truncated to.

    Those `named` by whoever builds win, then those `configured` in config.json, then those in the model card.

    Raises:
        Unsupported: one that is named, or configured, is no number of dimensions of this model.
    """
    if not named and configured is None:
        found = CARD_SIZES.search(card)
        listed = [int(size) for size in found[1].split(",") if size.strip().isdecimal()] if found else []
        return tuple(sorted({size for size in listed if 1 <= size < dimension}))[:MOST_SIZES]
    given: object = list(named) or configured
    wanted = [size for size in given if type(size) is int and 1 <= size <= dimension] if isinstance(given, list) else []
    if not isinstance(given, list) or not 0 < len(given) == len(wanted) <= MOST_SIZES:
        origin = "MATRYOSHKA" if named else "matryoshka_dimensions in config.json"
        msg = f"{origin} must list 1 to {MOST_SIZES} numbers of dimensions from 1 to {dimension}; it is {shown(given)}"
        raise Unsupported(msg)
    return tuple(sorted({size for size in wanted if size < dimension}))
