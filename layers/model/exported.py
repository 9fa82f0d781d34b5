"""A model's own ONNX file, brought to the handler's form: token ids in, token vectors and the pooled vector out.

For architectures that this builder does not write itself. Inputs and outputs are matched by name; what is unpadded needs no mask,
so every other input is made of the token ids inside the graph.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, compose, version_converter
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from handler.embedding.manifest import GRAPH, WEIGHTS
from layers.model import floats
from layers.model.configuration import Unsupported
from layers.model.graph import Graph
from layers.model.head import Layer, write_head
from layers.model.precision import Float32
from layers.model.specification import Specification

OLDEST_OPSET = 18
"""The head's operators take their axes as inputs, which they do from here on."""
PREFIX = "own/"
"""Before every name of the model's own graph, so that none is one of ours."""
STATES = "states"
TOKEN_OUTPUTS = ("token_embeddings", "last_hidden_state")
"""Names of the output with a vector for each token, the best first."""


def write(folder: Path, path: Path, specification: Specification, layers: Sequence[Layer], *, quantized: bool) -> None:
    """Write `folder`'s graph and weights from the ONNX file `path`, its matrices int8 per channel if `quantized`.

    Raises:
        Unsupported: the file cannot be read, or has an input or outputs that nobody knows.
    """
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Path(scratch, GRAPH)
        _encoder(path).write(encoder, WEIGHTS)
        encoder = _optimized(encoder, specification)
        if quantized:
            encoder = _quantized(encoder)
        graph = Graph()
        graph.input("input_ids", [1, "tokens"])
        graph.adopt(onnx.load(encoder))
    # ONNX Runtime makes weights unsigned when it loads them (precision.py, PRECISIONS), but refuses those that are shared.
    graph.separate_constants(np.int8)
    write_head(graph, STATES, Float32(), specification.pooling, layers, specification.dimension)
    graph.write(folder / GRAPH, WEIGHTS)


def _encoder(path: Path) -> Graph:
    """The file's graph with `input_ids` its only input and `states`, the token vectors, its only output."""
    loaded = _load(path)
    floats.check_not_quantized(loaded, path.name)
    floats.widen(loaded)
    model = _raised(loaded, path)
    outputs = {output.name for output in model.graph.output}
    chosen = next((name for name in TOKEN_OUTPUTS if name in outputs), None)
    if chosen is None:
        msg = (
            f"{path.name} gives {', '.join(sorted(outputs))}; this builder needs the tokens' vectors, {' or '.join(TOKEN_OUTPUTS)}"
        )
        raise Unsupported(msg)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    graph = Graph()
    ids = graph.input("input_ids", [1, "tokens"])
    for value in inputs:
        graph.op(f"{PREFIX}{value.name}", "Cast", _given(graph, path, value, ids), to=value.type.tensor_type.elem_type)
    graph.adopt(compose.add_prefix(model, PREFIX))
    graph.op(STATES, "Cast", f"{PREFIX}{chosen}", to=TensorProto.FLOAT)
    graph.output(STATES, [1, "tokens", "hidden"])
    return graph


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except Exception as error:  # noqa: BLE001 - protobuf's and onnx's exceptions share no other base
        msg = f"{path.name} in {path.parent} cannot be read: {str(error).splitlines()[0]}"
        raise Unsupported(msg) from None


def _raised(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    version = next((opset.version for opset in model.opset_import if opset.domain in {"", "ai.onnx"}), None)
    if version is None:
        msg = f"{path.name} names no operator set of ONNX's own: it says not what its operators compute"
        raise Unsupported(msg)
    if version >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # noqa: BLE001 - the converter raises bare RuntimeError and others
        msg = f"{path.name} has opset {version} and cannot be raised to {OLDEST_OPSET}: {str(error).splitlines()[0]}"
        raise Unsupported(msg) from None


# --- Inputs -----------------------------------------------------------------------------------------------


def _given(graph: Graph, path: Path, value: onnx.ValueInfoProto, ids: str) -> str:
    for name, make in INPUTS.items():
        if value.name == name or (name.endswith(".") and value.name.startswith(name)):
            return make(graph, value, ids)
    msg = f"{path.name} takes the input {value.name}; this builder knows {', '.join(INPUTS)}"
    raise Unsupported(msg)


def _ids(_graph: Graph, _value: onnx.ValueInfoProto, ids: str) -> str:
    return ids


def _ones(graph: Graph, value: onnx.ValueInfoProto, ids: str) -> str:
    """Every token is one of the text's."""
    zeros = _zeros(graph, value, ids)
    return graph.op(f"{value.name}.ones", "Add", zeros, graph.constant("one", np.array(1, np.int64)))


def _zeros(graph: Graph, value: onnx.ValueInfoProto, ids: str) -> str:
    """Every token is of the first segment."""
    return graph.op(f"{value.name}.zeros", "Mul", ids, graph.constant("nought", np.array(0, np.int64)))


def _places(graph: Graph, value: onnx.ValueInfoProto, ids: str) -> str:
    """0, 1, 2, …: each token's place."""
    counted = graph.op(f"{value.name}.counted", "CumSum", _ones(graph, value, ids), graph.constant("one", np.array(1, np.int64)))
    return graph.op(f"{value.name}.places", "Sub", counted, graph.constant("one", np.array(1, np.int64)))


def _nothing_before(graph: Graph, value: onnx.ValueInfoProto, _ids: str) -> str:
    """No tokens came before: keys and values of no length. One text, and nothing along the other axis of no fixed size."""
    sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    return graph.constant(f"{value.name}.empty", np.zeros([1, *sizes[1:]], np.float32))


INPUTS: Mapping[str, Callable[[Graph, onnx.ValueInfoProto, str], str]] = {
    "input_ids": _ids,
    "attention_mask": _ones,
    "token_type_ids": _zeros,
    "position_ids": _places,
    "past_key_values.": _nothing_before,
}
"""How each input is made of the token ids; a name that ends in a dot stands for all that begin with it."""


# --- Optimisation and quantization ------------------------------------------------------------------------


def _optimized(path: Path, specification: Specification) -> Path:
    """The same graph with its operators fused, since the handler loads a graph as it is.

    Only what holds on every kind of CPU is done (the level EXTENDED): the file may be built on one kind and served on another.
    """
    optimized = path.with_name("optimized.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(optimized)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "optimized.data")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options)
        (states,) = session.run([STATES], {"input_ids": np.zeros((1, 3), np.int64)})
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no other base
        msg = f"the model's own ONNX file does not run: {str(error).splitlines()[0]}"
        raise Unsupported(msg) from None
    if states.shape != (1, 3, specification.pooling.hidden):
        msg = f"the model's own ONNX file gives {states.shape} for 3 tokens; Pooling expects {(1, 3, specification.pooling.hidden)}"
        raise Unsupported(msg)
    return optimized


def _quantized(path: Path) -> Path:
    model = onnx.load(path, load_external_data=False)
    add_pre_process_metadata(model)  # or else it is warned that the graph was not optimised, which it was
    onnx.save(model, path)
    quantized = path.with_name("quantized.onnx")
    quantize_dynamic(
        path,
        quantized,
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
        # Of the values whose type cannot be told, since ONNX's shape inference does not know ONNX Runtime's fused operators.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    return quantized
