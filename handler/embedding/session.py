"""Load a model's graph into ONNX Runtime, with the options that its manifest and the processor require.

Law: the only importer of onnxruntime.
"""

from collections.abc import Mapping
from pathlib import Path

import encoder_operators
import onnxruntime

from handler.embedding.cpu import saturates
from handler.embedding.manifest import GRAPH, MANIFEST, Manifest, Optimization
from handler.errors import Backend

type Session = onnxruntime.InferenceSession

RUNTIME_VERSION: str = onnxruntime.__version__

LEVELS: Mapping[Optimization, onnxruntime.GraphOptimizationLevel] = {
    # The builder writes graphs as they should run. Optimizing one at load would take a third of a cold start.
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}

SPINNING: Mapping[str, str] = {
    "session.intra_op.allow_spinning": "1",
    "session.intra_op.spin_duration_us": "50",
    "session.force_spinning_stop": "1",
}
"""The entries that say how long a thread spins while it waits for a part of a run.

Threads that share a run spin between its operators: waking them would take as long as many an operator. If none follows soon, and
after the run, they sleep: other work may need the processor. ONNX Runtime's own operators wake them for long texts, even where each
text is computed by a thread of its own.
"""


def load(folder: Path, manifest: Manifest, kernel_class: str, *, kernels: str = "", threads: int = 1) -> tuple[Session, str]:
    """Load `folder`/model.onnx, whose weights are memory-mapped; return the session and the name of the operators' kernels.

    Args:
        folder: the model folder.
        manifest: the folder's manifest.
        kernel_class: the processor's, as cpu.kernel_class names it.
        kernels: the kernels that the encoder's own operators use; the fastest if empty.
        threads: the number of threads that share the work of one run.

    Raises:
        Backend: the graph cannot be loaded, or for the same reasons as session_options.
    """
    options = session_options(manifest, kernel_class, kernels=kernels, threads=threads)
    try:
        chosen = options.get_session_config_entry(encoder_operators.KERNELS_ENTRY) if manifest.operators else ""
        return onnxruntime.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"]), chosen
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
        msg = f"The model file {GRAPH} in {folder} cannot be loaded: {_first_line(error)}"
        raise Backend(msg) from None


def session_options(manifest: Manifest, kernel_class: str, *, kernels: str = "", threads: int = 1) -> onnxruntime.SessionOptions:
    """Return the options with which ONNX Runtime loads a model's graph on processors of this class.

    If the graph needs the encoder's operators, the entry `encoder.kernels` of the result names the kernels in use.

    Raises:
        Backend: the processor lacks the instructions of these kernels, or the manifest has an entry that ONNX Runtime refuses.
    """
    loading = manifest.loading_where_bytes_saturate if saturates(kernel_class) else manifest.loading
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[loading.optimization]
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    for name, value in SPINNING.items():
        options.add_session_config_entry(name, value)
    options.log_severity_level = 3
    for name, value in loading.entries.items():
        try:
            options.add_session_config_entry(name, value)
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
            msg = f"ONNX Runtime refuses the session entry {name[:100]!r} of {MANIFEST}: {_first_line(error)}"
            raise Backend(msg) from None
    if manifest.operators:
        try:
            _register_operators(options, kernels, threads)
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no common base class
            chosen = f" with KERNELS={kernels}" if kernels else ""
            msg = f"The encoder's operators cannot be used{chosen}: {_first_line(error)}"
            raise Backend(msg) from None
    return options


def _register_operators(options: onnxruntime.SessionOptions, kernels: str, threads: int) -> None:
    if kernels:
        options.add_session_config_entry(encoder_operators.KERNELS_ENTRY, kernels)
    options.add_session_config_entry(encoder_operators.THREADS_ENTRY, str(threads))
    options.register_custom_ops_library(str(encoder_operators.LIBRARY))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
