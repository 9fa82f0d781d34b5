"""Run a graph on texts, in as many runs at the same time as there are threads.

A text is never padded. It shares a run only with texts of the same length, and only in a graph that takes several texts: in such a
graph, no text changes a bit of another text's result. If there are fewer runs than threads, and no other call at the same time,
the encoder's own operators divide the work of a run between all threads. One thread still computes each number, so the number of
threads changes no bit.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import encoder_operators
import numpy as np
from numpy.typing import NDArray

from handler import telemetry
from handler.embedding.cpu import kernel_class
from handler.embedding.manifest import Manifest
from handler.embedding.results import TEXTS, Words, complete
from handler.embedding.session import load
from handler.errors import Unembeddable
from handler.vectors import NEVER

RUN_TOKENS = 128
"""The most tokens of a run that several texts share. Texts of 8 tokens take 62 µs a token in such runs, and 102 µs one by one.

64 tokens are as fast. With 256, the values between two layers no longer fit into the processor's caches.
"""

type Inputs = Callable[[NDArray[np.int64]], Mapping[str, NDArray[np.int64]]]
"""Makes a graph's inputs, by their names, from the sequences of one run, which are stacked."""


class GraphRunner:
    """Runs the graph of a model folder. Its result for a sequence is one array.

    widths: the last number of each output's shape, by the output's name.
    inputs: the shape of each input, by its name.
    kernels: the kernels that the encoder's own operators use.
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int, kernels: str, cpuinfo: Path, words: Words = TEXTS) -> None:
        """Load the graph of `folder`.

        Raises:
            Backend: the graph cannot be loaded, or the processor lacks these kernels.
        """
        self._words = words
        self.kernel_class = kernel_class(cpuinfo)
        cores = os.process_cpu_count() or 1  # threads that share a run spin, so each needs a core
        self._sharing_threads = min(threads, cores, encoder_operators.MAX_THREADS) if manifest.portable else 1
        self._session, self.kernels = load(folder, manifest, self.kernel_class, kernels=kernels, threads=self._sharing_threads)
        self.widths = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        self.inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self._run_tokens = RUN_TOKENS if isinstance(self.inputs["input_ids"][0], str) else 0
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder") if threads > 1 else None
        self._calls = 0
        self._counting = threading.Lock()

    @contextmanager
    def _counted(self) -> Iterator[bool]:
        """Count a call of `run` while it lasts. Yield True if there is no other one."""
        with self._counting:
            self._calls += 1
            alone = self._calls == 1
        try:
            yield alone
        finally:
            with self._counting:
                self._calls -= 1

    def run(
        self, output: str, sequences: Sequence[NDArray[np.int64]], inputs: Inputs, deadline: float = NEVER
    ) -> list[NDArray[np.float32]]:
        """Return the graph's output of this name for each sequence, whose last axis are tokens.

        Raises:
            OutOfTime: the deadline passed before all runs were done; it has the finished results.
            Unembeddable: a run failed, or a result is not finite.
        """
        started = time.monotonic()

        def run(indices: list[int]) -> NDArray[np.float32] | None:
            if time.monotonic() > deadline:
                return None
            given = inputs(np.stack([sequences[index] for index in indices]))
            if self._sharing_threads > 1:
                encoder_operators.share_work(shares=shares)
            try:
                result: NDArray[np.float32] = self._session.run([output], given)[0]
            except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
                telemetry.log_unexpected(error)
                msg = f"The model failed on a {self._words.input} of {lengths[indices[0]]} tokens"
                raise Unembeddable(msg) from None
            return result

        lengths = [sequence.shape[-1] for sequence in sequences]
        runs = shared_runs(lengths, min(self._run_tokens, -(-sum(lengths) // self._threads)))  # every thread gets a run
        found: dict[int, NDArray[np.float32]] = {}
        with self._counted() as alone:
            shares = alone and self._sharing_threads > 1 and len(runs) < self._threads
            results = self._pool.map(run, runs) if self._pool and len(runs) > 1 and not shares else map(run, runs)
            for indices, result in zip(runs, results, strict=True):
                if result is not None:
                    found.update(zip(indices, result, strict=True))
        return complete(found, len(sequences), started, self._words)


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
