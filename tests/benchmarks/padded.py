"""Serve a stock model as is common: texts in padded batches in the given order, with all threads in one run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tokenizers
from numpy.typing import NDArray

from handler.embedding.manifest import TOKENIZER
from handler.vectors import TokenIds, Vectors

from .stock import INPUTS, OUTPUT

type Batch = NDArray[np.int64]
"""Integers (texts, tokens)."""


class PaddedEncoder:
    """A stock graph in a session as ONNX Runtime makes it by default, but for the number of threads.

    Its threads stop spinning at the end of a run. By default they go on, in the turn of the next contender.
    """

    def __init__(self, model: onnx.ModelProto, threads: int) -> None:
        """Load the graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def encode(self, ids: Batch, mask: Batch) -> Vectors:
        """Return pooled vectors of one batch."""
        vectors: Vectors = self._session.run([OUTPUT], dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True)))[0]
        return vectors

    def encode_alike(self, sequences: Sequence[TokenIds]) -> Vectors:
        """Return pooled vectors of texts with the same number of tokens, in one batch without padding."""
        ids = np.stack(sequences)
        return self.encode(ids, np.ones_like(ids))

    def encode_each(self, sequences: Sequence[TokenIds]) -> Vectors:
        """Return pooled vectors of texts of any lengths, each in its own run."""
        return np.concatenate([self.encode_alike([sequence]) for sequence in sequences])


class PaddedService:
    """Embeds texts with a padded encoder."""

    def __init__(self, encoder: PaddedEncoder, folder: Path, max_length: int, batch: int) -> None:
        """Serve `encoder` with the tokenizer in `folder`."""
        self._encoder = encoder
        self._batch = batch
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.enable_truncation(max_length)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return pooled vectors; each batch is padded to its longest text."""
        return np.concatenate([self._run(texts[start : start + self._batch]) for start in range(0, len(texts), self._batch)])

    def _run(self, texts: Sequence[str]) -> Vectors:
        encodings = self._tokenizer.encode_batch_fast(texts)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return self._encoder.encode(ids, mask)
