"""Token ids to pooled vectors: one text a run, as many runs at once as there are threads.

A text is never padded and never shares a run: int8 activations are scaled by the whole tensor they are in, so neighbours and
padding would change a text's vector. Every run computes on one thread, so the number of threads changes no bit either.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler import telemetry
from handler.embedding.cpu import kernel_class
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import TokenIds
from handler.errors import Backend, TooLarge, Unembeddable

NEVER = math.inf
"""A deadline that does not come."""

ENCODER_REVISION = 1
"""Raised by whoever changes how texts become vectors in a way that the model's files do not show."""

type Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
type Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Encoder:
    """An ONNX sentence encoder: `input_ids` (1, tokens) to `pooled` (1, dimension) and `token_embeddings` (1, tokens, hidden).

    A model that leaves its prompt out of the pool has a second input, `prompt_tokens` (1).
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        """Load `folder`/model.onnx; its weights are memory-mapped.

        Raises:
            Backend: the graph cannot be loaded or has another dimension than its manifest.
        """
        self.dimension = manifest.dimension
        self._decisive = (manifest.fingerprint, onnxruntime.__version__, str(ENCODER_REVISION), kernel_class())
        self._session = _session(folder)
        widths = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        found = widths.get("pooled")
        if found != self.dimension:
            msg = f"The model file {GRAPH} in {folder} gives vectors of dimension {found}, its manifest says {self.dimension}"
            raise Backend(msg)
        self.hidden: int = widths["token_embeddings"]
        self._pools_prompt = manifest.include_prompt
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder") if threads > 1 else None

    @property
    def fingerprint(self) -> str:
        """Sha256 over all that decides a vector beside its text: where two encoders share it, they give the same bits."""
        return hashlib.sha256("\n".join(self._decisive).encode()).hexdigest()

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        """Pooled vectors (len(sequences), dimension) in the order given, before any normalisation.

        `deadline` is the reading of time.monotonic() after which no further run is begun. The first `prompt_tokens` of each are
        the prompt's: a model that leaves the prompt out of its pool leaves out these.

        Raises:
            TooLarge: the deadline passed before all were done.
            Unembeddable: a run fails, or a vector is not finite.
        """
        return np.concatenate(self._run("pooled", sequences, deadline, prompt_tokens))

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """The vectors (tokens, hidden) of each sequence's tokens.

        Raises:
            TooLarge, Unembeddable: as encode.
        """
        return [vectors[0] for vectors in self._run("token_embeddings", sequences, deadline)]

    def _run(
        self, output: str, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int = 0
    ) -> list[NDArray[np.float32]]:
        """What the graph gives under the name `output` for each sequence."""
        started = time.monotonic()
        prompt = {} if self._pools_prompt else {"prompt_tokens": np.array([prompt_tokens], dtype=np.int64)}

        def run(index: int) -> NDArray[np.float32] | None:
            if time.monotonic() > deadline:
                return None
            feed = {"input_ids": sequences[index][np.newaxis], **prompt}
            try:
                result: NDArray[np.float32] = self._session.run([output], feed)[0]
            except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
                telemetry.log_unexpected(error)
                msg = f"The model failed on a text of {len(sequences[index])} tokens"
                raise Unembeddable(msg) from None
            return result

        # Longest first: the short ones fill the gaps at the end, so that all threads finish together.
        order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
        runs = self._pool.map(run, order) if self._pool and len(order) > 1 else map(run, order)
        found = {index: result for index, result in zip(order, runs, strict=True) if result is not None}
        if len(found) < len(sequences):
            taken = time.monotonic() - started
            msg = f"the time ran out: {len(found)} of {len(sequences)} inputs were embedded in {taken:.1f} s, send fewer at a time"
            raise TooLarge(msg)
        broken = sum(not np.isfinite(result).all() for result in found.values())
        if broken:
            msg = f"The model gave a vector that is not finite for {broken} of the inputs"
            raise Unembeddable(msg)
        return [found[index] for index in range(len(sequences))]


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
