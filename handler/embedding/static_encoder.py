"""Compute pooled vectors from token ids with a table: a text's vector is the mean of the rows of its tokens.

Such models are called StaticEmbedding in Sentence Transformers, or Model2Vec. They need no ONNX Runtime, which takes most of a cold
start. The rows are added one by one in the order of the tokens, in float32, and the sum is divided once. So a vector depends on
nothing but its text: every processor, batch and number of threads gives the same bits.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.embedding.cpu import CPUINFO, kernel_class
from handler.embedding.manifest import SCALES, TABLE, Manifest
from handler.embedding.results import complete
from handler.errors import Backend
from handler.vectors import NEVER, TokenIds, Vector, Vectors

STATIC_REVISION = 1
"""A part of the fingerprint of every static model. Raise it after a change here that changes vectors."""

BLOCK_TOKENS = 1024
"""The rows of a text that are in memory at the same time. The number changes no bit."""


class StaticEncoder:
    """A table of one row for each token id, which is memory-mapped: float32, float16, or int8 with a scale for each row."""

    kernels = ""
    """An ONNX model has the name of its operators' kernels here. A table has none."""

    def __init__(self, folder: Path, manifest: Manifest, cpuinfo: Path = CPUINFO) -> None:
        """Map the table of `folder`.

        Args:
            folder: the model folder.
            manifest: the folder's manifest.
            cpuinfo: the file in which Linux describes the processor.

        Raises:
            Backend: a file cannot be read, or its shape or type is another one.
        """
        self.dimension = self.hidden = manifest.dimension
        self.kernel_class = kernel_class(cpuinfo)
        self._decisive = manifest.fingerprint, "static", str(STATIC_REVISION)
        self._table = _mapped(folder, TABLE)
        if self._table.dtype not in TYPES or self._table.shape[1:] != (self.dimension,):
            found = f"{self._table.dtype} in the shape {self._table.shape}"
            msg = f"The model file {TABLE} in {folder} has {found}, its manifest says rows of {self.dimension} numbers"
            raise Backend(msg)
        self._scales = _mapped(folder, SCALES) if self._table.dtype == np.int8 else None
        if self._scales is not None and not (self._scales.dtype == np.float32 and self._scales.shape == self._table.shape[:1]):
            msg = f"The model file {SCALES} in {folder} has no scale for each of the {len(self._table)} rows of {TABLE}"
            raise Backend(msg)

    @property
    def fingerprint(self) -> str:
        """The sha256 over everything that decides a vector except its text. The same fingerprint means the same bits."""
        return hashlib.sha256("\n".join(self._decisive).encode()).hexdigest()

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        """Return the pooled vectors (len(sequences), dimension) in the given order, before any normalization.

        The vector of a text without tokens is zero, as in Sentence Transformers.

        Args:
            sequences: the token ids of each text.
            deadline: the reading of time.monotonic() after which no further text is started.
            prompt_tokens: unused; a table has no prompt that is left out of the mean.

        Raises:
            OutOfTime: the deadline passed before all texts were done; it has the finished vectors.
            Unembeddable: a vector is not finite.
        """
        del prompt_tokens
        started, found = time.monotonic(), {}
        with np.errstate(over="ignore", invalid="ignore"):  # `complete` refuses what is not finite
            for index, ids in enumerate(sequences):
                if time.monotonic() > deadline:
                    break
                found[index] = self._mean(ids)
        return np.stack(complete(found, len(sequences), started))

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """Return for each sequence the rows (tokens, hidden) of its tokens.

        Raises:
            OutOfTime, Unembeddable: for the same reasons as encode.
        """
        started, found = time.monotonic(), {}
        for index, ids in enumerate(sequences):
            if time.monotonic() > deadline:
                break
            found[index] = self._rows(ids)
        return complete(found, len(sequences), started)

    def _mean(self, ids: TokenIds) -> Vector:
        total: Vector = np.zeros(self.dimension, np.float32)
        for start in range(0, len(ids), BLOCK_TOKENS):
            rows = self._rows(ids[start : start + BLOCK_TOKENS])
            rows[0] += total
            # Along the first axis numpy adds whole rows, one after the other: each number is the sum in the order of the tokens.
            total = np.add.reduce(rows, axis=0)
        return total / np.float32(max(len(ids), 1))

    def _rows(self, ids: TokenIds) -> Vectors:
        """Return a copy of the rows of these tokens, as float32."""
        rows: Vectors = self._table.take(ids, axis=0).astype(np.float32, copy=False)
        if self._scales is not None:
            rows *= self._scales.take(ids)[:, np.newaxis]
        return rows


TYPES = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int8))
"""The types of a table's numbers."""


def _mapped(folder: Path, name: str) -> NDArray[Any]:
    """Return the array of a file of the model folder, memory-mapped."""
    try:
        return np.asarray(np.load(folder / name, mmap_mode="r"))  # a plain array: indexing numpy's memmap takes 5 µs more
    except (OSError, ValueError, EOFError) as error:
        msg = f"The model file {name} in {folder} is not an array: {error}"
        raise Backend(msg) from None
