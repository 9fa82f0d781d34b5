"""Token ids to pooled vectors: one text a run, as many runs at once as there are threads.

A text is never padded and never shares a run: int8 activations are scaled by the whole tensor they are in, so neighbours and
padding would change a text's vector. Every run computes on one thread, so the number of threads changes no bit either.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import TokenIds
from handler.errors import Backend

type Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Encoder:
    """An ONNX sentence encoder with the input `input_ids` (1, tokens) and the output `pooled` (1, dimension).

    A model that leaves its prompt out of the pool has a second input, `prompt_tokens` (1).
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        """Load `folder`/model.onnx; its weights are memory-mapped.

        Raises:
            Backend: the graph cannot be loaded or has another dimension than its manifest.
        """
        self.dimension = manifest.dimension
        self._session = _session(folder)
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        found = outputs.get("pooled", [None])[-1]
        if found != self.dimension:
            msg = f"The model file {GRAPH} in {folder} gives vectors of dimension {found}, its manifest says {self.dimension}"
            raise Backend(msg)
        self._pools_prompt = manifest.include_prompt
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder") if threads > 1 else None

    def encode(self, sequences: Sequence[TokenIds], prompt_tokens: int = 0) -> Vectors:
        """Pooled vectors (len(sequences), dimension) in the order given, before any normalisation.

        The first `prompt_tokens` of each are the prompt's: a model that leaves the prompt out of its pool leaves out these.

        Raises:
            Backend: a vector is not finite.
        """
        vectors = np.empty((len(sequences), self.dimension), dtype=np.float32)

        prompt = {} if self._pools_prompt else {"prompt_tokens": np.array([prompt_tokens], dtype=np.int64)}

        def run(index: int) -> None:
            vectors[index] = self._session.run(["pooled"], {"input_ids": sequences[index][np.newaxis], **prompt})[0]

        # Longest first: the short ones fill the gaps at the end, so that all threads finish together.
        order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
        runs = self._pool.map(run, order) if self._pool and len(order) > 1 else map(run, order)
        for _ in runs:
            pass
        if not np.isfinite(vectors).all():
            msg = f"The model gave a vector that is not finite for {(~np.isfinite(vectors).all(axis=1)).sum()} of the inputs"
            raise Backend(msg)
        return vectors


def _session(folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # The builder writes the graph as it should run: nothing is left to optimise at load, which is a third of the cold start.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
        msg = f"The model file {GRAPH} in {folder} cannot be loaded: {str(error).splitlines()[0]}"
        raise Backend(msg) from None
