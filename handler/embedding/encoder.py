"""Token ids to pooled vectors: a text a run, as many runs at once as there are threads.

A text is never padded, and shares a run only with others of its length and only in a graph that says it takes several, because no
text changes a bit of another's there. Every run computes on one thread, so the number of threads changes no bit either.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import encoder_operators
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler import telemetry
from handler.embedding.cpu import CPUINFO, kernel_class, saturates
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.tokenization import TokenIds
from handler.errors import Backend, TooLarge, Unembeddable

NEVER = math.inf
"""A deadline that does not come."""

ENCODER_REVISION = 1
"""Raised by whoever changes how texts become vectors in a way that the model's files do not show: here, or in an operator in C."""

RUN_TOKENS = 128
"""How many tokens short texts of one length fill a run up to: texts of 8 tokens take 62 µs a token then, and 102 each alone.

Half as many do as well; with twice as many, what lies between two layers begins to leave the caches.
"""

type Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
type Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Encoder:
    """An ONNX sentence encoder.

    `input_ids` (texts, tokens) become `pooled` (texts, dimension) and `token_embeddings` (texts, tokens, hidden).
    A model that leaves its prompt out of the pool has a second input, `prompt_tokens` (1).
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int, cpuinfo: Path = CPUINFO) -> None:
        """Load `folder`/model.onnx; its weights are memory-mapped. `cpuinfo` tells what kind of CPU this is.

        Raises:
            Backend: the graph cannot be loaded or has another dimension than its manifest.
        """
        self.dimension = manifest.dimension
        kernels = kernel_class(cpuinfo)
        self._decisive = (
            *(manifest.fingerprint, onnxruntime.__version__, str(ENCODER_REVISION)),
            "every CPU" if manifest.portable else kernels,
        )
        self._session = _session(folder, manifest, kernels)
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
        return np.stack(self._run("pooled", sequences, deadline, prompt_tokens))

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """The vectors (tokens, hidden) of each sequence's tokens.

        Raises:
            TooLarge, Unembeddable: as encode.
        """
        return self._run("token_embeddings", sequences, deadline)

    def _run(
        self, output: str, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int = 0
    ) -> list[NDArray[np.float32]]:
        """What the graph gives under the name `output` for each sequence."""
        started = time.monotonic()
        prompt = {} if self._pools_prompt else {"prompt_tokens": np.array([prompt_tokens], dtype=np.int64)}

        def run(places: list[int]) -> NDArray[np.float32] | None:
            if time.monotonic() > deadline:
                return None
            feed = {"input_ids": np.stack([sequences[place] for place in places]), **prompt}
            try:
                result: NDArray[np.float32] = self._session.run([output], feed)[0]
            except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
                telemetry.log_unexpected(error)
                msg = f"The model failed on a text of {len(sequences[places[0]])} tokens"
                raise Unembeddable(msg) from None
            return result

        lengths = [len(sequence) for sequence in sequences]
        runs = shared_runs(lengths, min(self._run_tokens, -(-sum(lengths) // self._threads)))  # no thread goes without
        results = self._pool.map(run, runs) if self._pool and len(runs) > 1 else map(run, runs)
        found: dict[int, NDArray[np.float32]] = {}
        for places, result in zip(runs, results, strict=True):
            if result is not None:
                found.update(zip(places, result, strict=True))
        if len(found) < len(sequences):
            taken = time.monotonic() - started
            msg = f"the time ran out: {len(found)} of {len(sequences)} inputs were embedded in {taken:.1f} s, send fewer at a time"
            raise TooLarge(msg)
        broken = sum(not np.isfinite(result).all() for result in found.values())
        if broken:
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


def session_options(precision: str, kernels: str, *, portable: bool) -> onnxruntime.SessionOptions:
    """How ONNX Runtime loads a graph of this precision on CPUs of this kernel class."""
    options = onnxruntime.SessionOptions()
    # The builder writes the graph as it should run: nothing is left to optimise at load, which is a third of the cold start.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if precision == "fp16":
        # Float16 weights become float32 when the graph is loaded: in every run it would take longer than the run.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if precision == "int8":
        options.register_custom_ops_library(str(encoder_operators.LIBRARY))
    if precision == "int8" and saturates(kernels) and not portable:
        # Weights become unsigned when the graph is loaded (0.1 s more), for kernels that lose nothing; it takes this level.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _session(folder: Path, manifest: Manifest, kernels: str) -> onnxruntime.InferenceSession:
    try:
        options = session_options(manifest.precision, kernels, portable=manifest.portable)
        return onnxruntime.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
        msg = f"The model file {GRAPH} in {folder} cannot be loaded: {str(error).splitlines()[0]}"
        raise Backend(msg) from None
