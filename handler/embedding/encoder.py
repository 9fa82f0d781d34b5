"""Compute pooled vectors from token ids, in as many runs at the same time as there are threads.

A text is never padded. It shares a run only with texts of the same length, and only in a graph that takes several texts: in such a
graph, no text changes a bit of another text's vector. If there are fewer runs than threads, the encoder's own operators divide the
work of a run between all threads. One thread still computes each number, so the number of threads changes no bit.
"""

import hashlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import encoder_operators
import numpy as np
from numpy.typing import NDArray

from handler import telemetry
from handler.embedding.cpu import CPUINFO, kernel_class
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.results import complete
from handler.embedding.session import RUNTIME_VERSION, Session, load
from handler.errors import Backend, Unembeddable
from handler.vectors import NEVER, TokenIds, Vectors

ENCODER_REVISION = 1
"""A part of every fingerprint. Raise it after a change, here or in a C kernel, that changes vectors but no file of a model."""

RUN_TOKENS = 128
"""The most tokens of a run that several texts share. Texts of 8 tokens take 62 µs a token in such runs, and 102 µs one by one.

64 tokens are as fast. With 256, the values between two layers no longer fit into the processor's caches.
"""

SHARED_TOKENS = 16
"""A run of fewer tokens is computed on one thread: waking a second one takes as long as it saves."""


class Encoder:
    """An ONNX sentence encoder.

    Its graph takes `input_ids` (texts, tokens), and returns `pooled` (texts, dimension) and `token_embeddings` (texts, tokens,
    hidden). Some models return no `token_embeddings`; then `hidden` is 0. A model that leaves its prompt out of the pool has a
    second input, `prompt_tokens` (1).
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
        self.dimension = manifest.dimension
        self.kernel_class = kernel_class(cpuinfo)
        self._decisive = (
            *(manifest.fingerprint, RUNTIME_VERSION, str(ENCODER_REVISION)),
            "every CPU" if manifest.portable else self.kernel_class,
        )
        self._load = partial(load, folder, manifest, self.kernel_class)
        self._session, self.kernels = self._load(kernels=kernels)
        widths = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        found = widths.get("pooled")
        if found != self.dimension:
            msg = f"The model file {GRAPH} in {folder} gives vectors of dimension {found}, its manifest says {self.dimension}"
            raise Backend(msg)
        self.hidden: int = widths.get("token_embeddings", 0)
        self._pools_prompt = manifest.include_prompt
        shapes = {value.name: value.shape for value in self._session.get_inputs()}
        self._run_tokens = RUN_TOKENS if isinstance(shapes["input_ids"][0], str) else 0
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder") if threads > 1 else None
        self._sharing_threads = min(threads, encoder_operators.MAX_THREADS) if manifest.portable else 1
        self._shared_session: Session | None = None
        self._loading = threading.Lock()

    def _shared(self) -> Session:
        """Return the session whose operators divide their work between threads; load it at first use. It maps the same weights."""
        with self._loading:
            if self._shared_session is None:
                self._shared_session, _ = self._load(kernels=self.kernels, threads=self._sharing_threads)
            return self._shared_session

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
        started = time.monotonic()
        prompt = {} if self._pools_prompt else {"prompt_tokens": np.array([prompt_tokens], dtype=np.int64)}

        def run_in(session: Session, indices: list[int]) -> NDArray[np.float32] | None:
            if time.monotonic() > deadline:
                return None
            feed = {"input_ids": np.stack([sequences[index] for index in indices]), **prompt}
            try:
                result: NDArray[np.float32] = session.run([output], feed)[0]
            except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
                telemetry.log_unexpected(error)
                msg = f"The model failed on a text of {len(sequences[indices[0]])} tokens"
                raise Unembeddable(msg) from None
            return result

        lengths = [len(sequence) for sequence in sequences]
        runs = shared_runs(lengths, min(self._run_tokens, -(-sum(lengths) // self._threads)))  # every thread gets a run
        shares = self._sharing_threads > 1 and len(runs) < self._threads and sum(lengths) >= SHARED_TOKENS * len(runs)
        run = partial(run_in, self._shared() if shares else self._session)
        results = self._pool.map(run, runs) if self._pool and len(runs) > 1 and not shares else map(run, runs)
        found: dict[int, NDArray[np.float32]] = {}
        for indices, result in zip(runs, results, strict=True):
            if result is not None:
                found.update(zip(indices, result, strict=True))
        return complete(found, len(sequences), started)


def shared_runs(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Group sequences of the same length into runs of at most `most_tokens` tokens; return the indices of each run.

    The longest come first: the short runs fill the gaps at the end, so that all threads finish at about the same time.
    """
    runs: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        length = lengths[index]
        if runs and lengths[runs[-1][0]] == length and (len(runs[-1]) + 1) * length <= most_tokens:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
