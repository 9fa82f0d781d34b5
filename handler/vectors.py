"""Types that the whole package shares: vectors, token ids, and the choices a request may name.

Imports numpy alone, so that a module which needs a type for a signature does not load ONNX Runtime or a tokenizer.
"""

import math
from typing import Literal, get_args

import numpy as np

type Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
"""One vector (dimension,)."""
type Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""One vector a row (texts, dimension)."""
type TokenIds = np.ndarray[tuple[int], np.dtype[np.int64]]
"""The token ids of one text (tokens,)."""

type PairTokens = np.ndarray[tuple[int, int], np.dtype[np.int64]]
"""The tokens of two texts in one sequence (2, tokens): their ids, and their types, which tell the second text from the first."""

type Direction = Literal["right", "left"]
"""The end of a text that is truncated."""
type EncodingFormat = Literal["float", "base64"]
"""The form in which a float32 vector is written: JSON numbers, or little-endian float32 in base64."""

DIRECTIONS: tuple[Direction, ...] = get_args(Direction.__value__)
ENCODING_FORMATS: tuple[EncodingFormat, ...] = get_args(EncodingFormat.__value__)

NEVER = math.inf
"""A deadline, as a reading of time.monotonic(), that never comes."""
