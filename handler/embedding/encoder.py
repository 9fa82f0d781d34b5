"""Compute pooled vectors from token ids."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.embedding.cpu import CPUINFO
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.runner import GraphRunner
from handler.embedding.session import RUNTIME_VERSION
from handler.errors import Backend
from handler.vectors import NEVER, TokenIds, Vectors

ENCODER_REVISION = 2
"""A part of every fingerprint. Raise it after a change, here or in a C kernel, that changes vectors but no file of a model."""


class Encoder:
    """An ONNX sentence encoder.

    Its graph takes `input_ids` (texts, tokens), and returns `pooled` (texts, dimension) and `token_embeddings` (texts, tokens,
    hidden). Some models return no `token_embeddings`; then `hidden` is 0. A model that leaves its prompt out of the pool has a
    second input, `prompt_tokens` (1). A model that pools one token has a second input, `needed_tokens` (1): the number of tokens
    whose vectors are computed.
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int, kernels: str = "", cpuinfo: Path = CPUINFO) -> None:
        """Load the graph of `folder`.

        Args:
            folder: the model folder.
            manifest: the folder's manifest.
            threads: the number of threads that compute.
            kernels: the kernels that the encoder's own operators use; the fastest if empty.
            cpuinfo: the file in which Linux describes the processor.

        Raises:
            Backend: the graph cannot be loaded, its dimension is not the manifest's, or the processor lacks these kernels.
        """
        self._runner = GraphRunner(folder, manifest, threads, kernels, cpuinfo)
        self.dimension = manifest.dimension
        self.kernel_class, self.kernels = self._runner.kernel_class, self._runner.kernels
        self._decisive = (
            *(manifest.fingerprint, RUNTIME_VERSION, str(ENCODER_REVISION)),
            "every CPU" if manifest.portable else self.kernel_class,
        )
        found = self._runner.widths.get("pooled")
        if found != self.dimension:
            msg = f"The model file {GRAPH} in {folder} gives vectors of dimension {found}, its manifest says {self.dimension}"
            raise Backend(msg)
        self.hidden: int = self._runner.widths.get("token_embeddings", 0)
        self._pools_prompt = manifest.include_prompt
        self._chooses_tokens = "needed_tokens" in self._runner.inputs

    @property
    def fingerprint(self) -> str:
        """The sha256 over everything that decides a vector except its text. The same fingerprint means the same bits."""
        return hashlib.sha256("\n".join(self._decisive).encode()).hexdigest()

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        """Return the pooled vectors (len(sequences), dimension) in the given order, before any normalization.

        Args:
            sequences: the token ids of each text.
            deadline: the reading of time.monotonic() after which no further run is started.
            prompt_tokens: the length of the prompt with which each sequence starts. Some models leave it out of the pool.

        Raises:
            OutOfTime: the deadline passed before all runs were done; it has the finished vectors.
            Unembeddable: a run failed, or a vector is not finite.
        """
        return np.stack(self._run("pooled", sequences, deadline, prompt_tokens))

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """Return for each sequence the vectors (tokens, hidden) of its tokens.

        Raises:
            OutOfTime, Unembeddable: for the same reasons as encode.
        """
        return self._run("token_embeddings", sequences, deadline)

    def _run(
        self, output: str, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int = 0
    ) -> list[NDArray[np.float32]]:
        """Return the graph's output of this name for each sequence."""
        prompt = {} if self._pools_prompt else {"prompt_tokens": np.array([prompt_tokens], dtype=np.int64)}

        def inputs(ids: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
            needed = 1 if output == "pooled" else ids.shape[-1]
            chosen = {"needed_tokens": np.array([needed], np.int64)} if self._chooses_tokens else {}
            return {"input_ids": ids, **prompt, **chosen}

        return self._runner.run(output, sequences, inputs, deadline)
