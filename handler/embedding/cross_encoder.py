"""Compute the scores of pairs of texts from their tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.embedding.cpu import CPUINFO
from handler.embedding.manifest import GRAPH, MANIFEST, Manifest
from handler.embedding.results import PAIRS
from handler.embedding.runner import GraphRunner
from handler.errors import Backend
from handler.vectors import NEVER, PairTokens, Vector


class CrossEncoder:
    """An ONNX cross-encoder.

    Its graph takes the tokens of pairs, `input_ids` and perhaps `token_type_ids` (pairs, tokens), and returns `score` (pairs, 1).
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int, kernels: str = "", cpuinfo: Path = CPUINFO) -> None:
        """Load the graph of `folder`; the arguments are those of Encoder.

        Raises:
            Backend: the graph cannot be loaded, it gives vectors, or the processor lacks these kernels.
        """
        if not manifest.activation:
            msg = f"{MANIFEST} in {folder} describes a model of vectors, and a reranker gives scores: name a cross-encoder's folder"
            raise Backend(msg)
        self._runner = GraphRunner(folder, manifest, threads, kernels, cpuinfo, PAIRS)
        self.kernel_class, self.kernels = self._runner.kernel_class, self._runner.kernels
        if self._runner.widths != {"score": 1}:
            msg = f"The model file {GRAPH} in {folder} gives {', '.join(self._runner.widths)} in place of a score"
            raise Backend(msg)
        self._takes_types = "token_type_ids" in self._runner.inputs

    def score(self, pairs: Sequence[PairTokens], deadline: float = NEVER) -> Vector:
        """Return the score of each pair, before any activation. A pair has the same score whatever pairs are scored with it.

        Args:
            pairs: the tokens of each pair.
            deadline: the reading of time.monotonic() after which no further run is started.

        Raises:
            OutOfTime: the deadline passed before all runs were done; it has the finished scores.
            Unembeddable: a run failed, or a score is not finite.
        """
        return np.concatenate(self._runner.run("score", pairs, self._inputs, deadline))

    def _inputs(self, pairs: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
        ids = {"input_ids": np.ascontiguousarray(pairs[:, 0])}
        return ids | ({"token_type_ids": np.ascontiguousarray(pairs[:, 1])} if self._takes_types else {})
