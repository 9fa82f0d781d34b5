"""Build from a model's own ONNX file: the new graph takes token ids, and returns token vectors and the pooled vector.

That is done for families that the builder does not write itself. Inputs (onnx_inputs.py) and outputs are recognized by their names.
Texts are not padded, so that the graph can compute all other inputs from the token ids.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, compose, defs, version_converter
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from handler.embedding.manifest import GRAPH, WEIGHTS
from layers.model import onnx_files, onnx_inputs, onnx_numbers
from layers.model.configuration import Unsupported
from layers.model.graph import Graph
from layers.model.head import Head, truncate
from layers.model.precision import Float32
from layers.model.specification import Specification

OLDEST_OPSET = 18
"""The first opset in which all operators of the head take their axes as inputs."""
PREFIX = "own/"
"""The prefix of all names of the model's own graph, so that none equals one of ours."""
HELD = "held"
"""The domain that hides operators from the converter."""
STATES = "states"
OF_TEXT = "sentence_embedding"
"""The output with the text's vector after all modules. It is used if the file has no output with a vector for each token."""


@dataclass(frozen=True, slots=True)
class Output:
    """The output of the file that is used. `of_text` says that it is the text's vector after all modules."""

    name: str
    of_text: bool


def write(folder: Path, path: Path, specification: Specification, head: Head, *, quantized: bool) -> None:
    """Write `folder`'s graph and weights from the ONNX file `path`, its matrices int8 per channel if `quantized`.

    Raises:
        Unsupported: the file cannot be read, or its inputs or outputs are unknown.
    """
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Path(scratch, GRAPH)
        output = _write_encoder(encoder, path, specification)
        encoder = _optimized(encoder, specification, output)
        if quantized:
            encoder = _quantized(encoder)
        graph = Graph()
        graph.input("input_ids", [1, "tokens"])
        graph.adopt(onnx_files.read(encoder), encoder.parent)
        # ONNX Runtime makes weights unsigned when it loads them (PRECISIONS in precision.py), but cannot do that for shared ones.
        graph.separate_constants(np.int8)
        if output.of_text:
            truncate(graph, STATES, specification.modules.dimension, specification.dimension)
            graph.output("pooled", ["texts", specification.dimension])
        else:
            head.write(graph, STATES, Float32())
        graph.write(folder / GRAPH, WEIGHTS)


def _write_encoder(encoder: Path, path: Path, specification: Specification) -> Output:
    """Write the file's graph with `input_ids` as its only input, and the chosen output under the name `states`."""
    model = onnx_files.read(path)
    onnx_numbers.check_not_quantized(model, path.name)
    onnx_files.check_locations(model, path)
    model = _raised(model, path)
    onnx_numbers.widen(model, path.parent)
    for part in onnx_files.parts(model):
        for tensor in onnx_files.attribute_tensors(part):
            onnx_files.filled(tensor, path.parent)
    output = _chosen({output.name for output in model.graph.output}, path.name, specification)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if specification.task is not None and not any(value.name == "task_id" for value in inputs):
        msg = f"TASK is {specification.task}, but {path.name} takes no task"
        raise Unsupported(msg)
    graph = Graph()
    given = onnx_inputs.Given(graph, graph.input("input_ids", [1, "tokens"]), specification.task, specification.tasks)
    for value in inputs:
        made = onnx_inputs.make(given, path.name, value)
        graph.op(f"{PREFIX}{value.name}", "Cast", made, to=value.type.tensor_type.elem_type)
    graph.adopt(compose.add_prefix(model, PREFIX, inplace=True), path.parent)
    graph.op(STATES, "Cast", f"{PREFIX}{output.name}", to=TensorProto.FLOAT)
    graph.output(STATES, [1, "hidden"] if output.of_text else [1, "tokens", "hidden"])
    graph.write(encoder, WEIGHTS)
    return output


def _raised(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    version = next((opset.version for opset in model.opset_import if opset.domain in {"", "ai.onnx"}), None)
    if version is None:
        msg = f"{path.name} names no operator set of ONNX, so nobody knows what its operators compute"
        raise Unsupported(msg)
    if version >= OLDEST_OPSET:
        return model
    _rename_domain(model, "", HELD, version)
    model.opset_import.add(domain=HELD, version=1)
    try:
        raised = version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # noqa: BLE001 - the converter raises bare RuntimeError and others
        msg = f"{path.name} has opset {version} and cannot be raised to {OLDEST_OPSET}: {str(error).splitlines()[0]}"
        raise Unsupported(msg) from None
    _rename_domain(raised, HELD, "")
    imports = [opset for opset in raised.opset_import if opset.domain != HELD]
    del raised.opset_import[:]
    raised.opset_import.extend(imports)
    return raised


def _rename_domain(model: onnx.ModelProto, domain: str, other: str, version: int | None = None) -> None:
    """Rename the domain of operators. With a version, rename only those that ONNX did not have in that version.

    ONNX Runtime's optimizer uses LayerNormalization in versions of ONNX that did not have it, and the converter fails on it.
    """
    for part in onnx_files.parts(model):
        for node in part.node:
            if node.domain == domain and (version is None or not _has(node.op_type, version)):
                node.domain = other


def _has(operator: str, version: int) -> bool:
    try:
        defs.get_schema(operator, version, "")
    except defs.SchemaError:
        return False
    return True


def _chosen(outputs: set[str], file: str, specification: Specification) -> Output:
    """Return the output to use: the encoder's token vectors, or else the text's vector.

    `token_embeddings` come from the library, after the modules before Pooling. If there are any, these are not the encoder's
    vectors.
    """
    modules = specification.modules
    of_tokens = ("last_hidden_state",) if modules.before else ("token_embeddings", "last_hidden_state")
    for name in of_tokens:
        if name in outputs:
            return Output(name, of_text=False)
    if OF_TEXT not in outputs:
        msg = f"{file} gives {', '.join(sorted(outputs))}; this builder needs {', '.join(of_tokens)} or {OF_TEXT}"
        raise Unsupported(msg)
    if "pooling" in specification.overrides or not modules.pooling.include_prompt:
        msg = f"{file} gives a text's {OF_TEXT} alone, pooled already: neither POOLING nor include_prompt: false can be applied"
        raise Unsupported(msg)
    return Output(OF_TEXT, of_text=True)


# --- Optimization and quantization ------------------------------------------------------------------------


def _optimized(path: Path, specification: Specification, output: Output) -> Path:
    """Return the same graph with fused operators, because the handler does not optimize a graph.

    The level EXTENDED makes no changes for one kind of CPU: the model may be built on one kind and served on another.
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
    modules = specification.modules
    expected = (1, modules.dimension) if output.of_text else (1, 3, modules.hidden)
    if states.shape != expected:
        msg = f"the model's own ONNX file gives {states.shape} for 3 tokens; the modules expect {expected}"
        raise Unsupported(msg)
    return optimized


def _quantized(path: Path) -> Path:
    model = onnx_files.read(path)
    add_pre_process_metadata(model)  # without it, quantize_dynamic warns that the graph was not optimized
    onnx.save(model, path)
    quantized = path.with_name("quantized.onnx")
    quantize_dynamic(
        path,
        quantized,
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
        # The type of values that come from ONNX Runtime's fused operators, which ONNX's shape inference does not know.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    return quantized
