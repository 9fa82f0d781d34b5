"""Token ids to pooled vectors: a text a run, as many runs at once as there are threads.

A text is never padded, and shares a run only with others of its length and only in a graph that says it takes several, because no
text changes a bit of another's there. Where there are fewer runs than threads, the encoder's own operators share the work of one
run between all threads; each number is still computed by one of them, so the number of threads changes no bit.
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
import onnxruntime
from numpy.typing import NDArray

from handler import telemetry
from handler.embedding.cpu import CPUINFO, kernel_class, saturates
from handler.embedding.manifest import GRAPH, Manifest
from handler.errors import Backend, OutOfTime, Unembeddable
from handler.vectors import NEVER, TokenIds, Vectors

ENCODER_REVISION = 1
"""Raised by whoever changes how texts become vectors in a way that the model's files do not show: here, or in an operator in C."""

RUN_TOKENS = 128
"""How many tokens short texts of one length fill a run up to: texts of 8 tokens take 62 µs a token then, and 102 each alone.

Half as many do as well; with twice as many, what lies between two layers begins to leave the caches.
"""

SHARED_TOKENS = 16
"""A run of fewer tokens is computed on one thread: waking a second one takes as long as it saves."""

MAX_SHARING_THREADS = 64  # as operators.c has it


class Encoder:
    """An ONNX sentence encoder.

    `input_ids` (texts, tokens) become `pooled` (texts, dimension) and `token_embeddings` (texts, tokens, hidden).
    A model that leaves its prompt out of the pool has a second input, `prompt_tokens` (1).
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int, kernels: str = "", cpuinfo: Path = CPUINFO) -> None:
        """Load `folder`/model.onnx; its weights are memory-mapped.

        `kernels` names those of the encoder's own operators, or is empty for the fastest; `cpuinfo` describes the processor.

        Raises:
            Backend: the graph cannot be loaded or has another dimension than its manifest; or the processor lacks these kernels.
        """
        self.dimension = manifest.dimension
        self.kernel_class = kernel_class(cpuinfo)
        self._decisive = (
            *(manifest.fingerprint, onnxruntime.__version__, str(ENCODER_REVISION)),
            "every CPU" if manifest.portable else self.kernel_class,
        )
        self._folder, self._manifest = folder, manifest
        self._session, self.kernels = self._load(kernels, threads=1)
        widths = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        found = widths.get("pooled")
        if found != self.dimension:
            msg = f"The model file {GRAPH} in {folder} gives vectors of dimension {found}, its manifest says {self.dimension}"
            raise Backend(msg)
        self.hidden: int = widths["token_embeddings"]
        self._pools_prompt = manifest.include_prompt
        shapes = {value.name: value.shape for value in self._session.get_inputs()}
        self._run_tokens = RUN_TOKENS if isinstance(shapes["input_ids"][0], str) else 0
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder") if threads > 1 else None
        self._sharing_threads = min(threads, MAX_SHARING_THREADS) if manifest.portable else 1
        self._shared_session: onnxruntime.InferenceSession | None = None
        self._loading = threading.Lock()

    def _load(self, kernels: str, threads: int) -> tuple[onnxruntime.InferenceSession, str]:
        """Load a session whose operators share their work between `threads`; return the name of their kernels, too.

        Raises:
            Backend: as __init__.
        """
        precision, portable = self._manifest.precision, self._manifest.portable
        try:
            options = session_options(precision, self.kernel_class, portable=portable, kernels=kernels, threads=threads)
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            msg = f"The encoder's operators cannot be used with KERNELS={kernels}: {str(error).splitlines()[0]}"
            raise Backend(msg) from None
        try:
            chosen = options.get_session_config_entry(KERNELS_ENTRY) if portable else ""
            return onnxruntime.InferenceSession(self._folder / GRAPH, options, providers=["CPUExecutionProvider"]), chosen
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            msg = f"The model file {GRAPH} in {self._folder} cannot be loaded: {str(error).splitlines()[0]}"
            raise Backend(msg) from None

    def _shared(self) -> onnxruntime.InferenceSession:
        """The session whose operators share their work, loaded at first need; it maps the same weights."""
        with self._loading:
            if self._shared_session is None:
                self._shared_session, _ = self._load(self.kernels, self._sharing_threads)
            return self._shared_session

    @property
    def fingerprint(self) -> str:
        """Sha256 over all that decides a vector beside its text: where two encoders share it, they give the same bits."""
        return hashlib.sha256("\n".join(self._decisive).encode()).hexdigest()

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        """Pooled vectors (len(sequences), dimension) in the order given, before any normalisation.

        `deadline` is the reading of time.monotonic() after which no further run is begun. The first `prompt_tokens` of each are
        the prompt's: a model that leaves the prompt out of its pool leaves out these.

        Raises:
            OutOfTime: the deadline passed before all were done; it has the finished ones.
            Unembeddable: a run fails, or a vector is not finite.
        """
        return np.stack(self._run("pooled", sequences, deadline, prompt_tokens))

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """The vectors (tokens, hidden) of each sequence's tokens.

        Raises:
            OutOfTime, Unembeddable: as encode.
        """
        return self._run("token_embeddings", sequences, deadline)

    def _run(
        self, output: str, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int = 0
    ) -> list[NDArray[np.float32]]:
        """What the graph gives under the name `output` for each sequence."""
        started = time.monotonic()
        prompt = {} if self._pools_prompt else {"prompt_tokens": np.array([prompt_tokens], dtype=np.int64)}

        def run_in(session: onnxruntime.InferenceSession, places: list[int]) -> NDArray[np.float32] | None:
            if time.monotonic() > deadline:
                return None
            feed = {"input_ids": np.stack([sequences[place] for place in places]), **prompt}
            try:
                result: NDArray[np.float32] = session.run([output], feed)[0]
            except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
                telemetry.log_unexpected(error)
                msg = f"The model failed on a text of {len(sequences[places[0]])} tokens"
                raise Unembeddable(msg) from None
            return result

        lengths = [len(sequence) for sequence in sequences]
        runs = shared_runs(lengths, min(self._run_tokens, -(-sum(lengths) // self._threads)))  # no thread goes without
        shares = self._sharing_threads > 1 and len(runs) < self._threads and sum(lengths) >= SHARED_TOKENS * len(runs)
        run = partial(run_in, self._shared() if shares else self._session)
        results = self._pool.map(run, runs) if self._pool and len(runs) > 1 and not shares else map(run, runs)
        found: dict[int, NDArray[np.float32]] = {}
        for places, result in zip(runs, results, strict=True):
            if result is not None:
                found.update(zip(places, result, strict=True))
        finite = {place: result for place, result in found.items() if np.isfinite(result).all()}
        if len(found) < len(sequences):
            taken = time.monotonic() - started
            msg = f"the time ran out: {len(found)} of {len(sequences)} inputs were embedded in {taken:.1f} s, send fewer at a time"
            raise OutOfTime(msg, finite)
        if broken := len(found) - len(finite):
            msg = f"The model gave a vector that is not finite for {broken} of the inputs"
            raise Unembeddable(msg)
        return [found[place] for place in range(len(sequences))]


def shared_runs(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """The places of the sequences that share a run, run by run: of one length, and no more than `most_tokens` together.

    Longest first: the short ones fill the gaps at the end, so that all threads finish together.
    """
    runs: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        length = lengths[place]
        if runs and lengths[runs[-1][0]] == length and (len(runs[-1]) + 1) * length <= most_tokens:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


KERNELS_ENTRY = "encoder.kernels"
THREADS_ENTRY = "encoder.threads"
"""Entries of a session's configuration that layers/runtime/operators/operators.c reads."""


def session_options(
    precision: str, kernel_class: str, *, portable: bool, kernels: str = "", threads: int = 1
) -> onnxruntime.SessionOptions:
    """Return the options with which ONNX Runtime loads a graph of this precision on processors of this class.

    Our operators use the named kernels, or the fastest, and share a run between `threads`; KERNELS_ENTRY then names the kernels.
    """
    options = onnxruntime.SessionOptions()
    # The builder writes the graph as it should run: nothing is left to optimise at load, which is a third of the cold start.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if precision == "fp16":
        # Float16 weights become float32 when the graph is loaded: in every run it would take longer than the run.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if precision == "int8" and saturates(kernel_class) and not portable:
        # Weights become unsigned when the graph is loaded (0.1 s more), for kernels that lose nothing; it takes this level.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes time that another may need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if precision == "int8":
        if kernels:
            options.add_session_config_entry(KERNELS_ENTRY, kernels)
        options.add_session_config_entry(THREADS_ENTRY, str(threads))
        options.register_custom_ops_library(str(encoder_operators.LIBRARY))
    return options
