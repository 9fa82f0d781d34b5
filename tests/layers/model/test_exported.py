"""The builder makes models from their own ONNX files.

test_references.py compares their float32 vectors with the official library's.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

from handler.embedding.manifest import Manifest
from handler.errors import Validation
from handler.service import Options
from layers.model.overrides import Overrides
from tests.conftest import ClientOf, serve
from tests.layers.model import references, tiny_bert
from tests.layers.model.commands import built, made, make, refused

EXACT = ("--precision", "fp32")
TEXTS = ["A sunny day.", "a", "Ünïcödé, 한국어.", "long " * 40]


def vectors(folder: Path) -> np.ndarray:
    """Return the vectors of some texts."""
    return serve(folder).embed(TEXTS, Options()).vectors


@pytest.mark.parametrize("name", ["albert-onnx", "llama-onnx"])
def test_a_generically_quantized_model_stays_close_and_is_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    """Its matrices are int8, so it is smaller. Tiny random models lose more than trained ones."""
    model = references.write(name, tmp_path / "source")
    exact = made(model, tmp_path / "exact")
    one, two = (built(model, tmp_path / out, MIN_COSINE="0.98,0.9") for out in ("one", "two"))
    names = sorted(path.name for path in one.iterdir())
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in names)
    size = {folder: sum(path.stat().st_size for path in folder.glob("model.onnx*")) for folder in (exact, one)}
    assert size[one] < size[exact]
    assert (vectors(one) * vectors(exact)).sum(axis=1).min() > 0.9


@pytest.mark.parametrize("precision", ["int4", "fp16"])
def test_a_precision_that_is_written_from_weights_alone_is_refused(precision: str, tmp_path: Path) -> None:
    """The sentence names the possible precisions."""
    model = references.write("albert-onnx", tmp_path / "source")
    sentence = refused(model, tmp_path / "model", precision)
    assert f"a model made from its own ONNX file can be int8 or fp32, not {precision}" in sentence


def test_a_file_with_its_weights_in_another_file_is_the_same_model(tmp_path: Path) -> None:
    """Files above 2 GB keep their tensors in other files."""
    model = references.write("albert-onnx", tmp_path / "source")
    expected = vectors(made(model, tmp_path / "one"))
    path = model / "onnx/model.onnx"
    model_proto = onnx.load(path)
    onnx.save(model_proto, path, save_as_external_data=True, location="model.onnx_data", size_threshold=100)
    found = made(model, tmp_path / "two")
    assert "onnx/model.onnx_data" in Manifest.read(found).sources
    np.testing.assert_allclose(vectors(found), expected, atol=1e-6)


def test_the_named_file_is_used_instead_of_the_weights(tmp_path: Path) -> None:
    """Here it is the ONNX file of a BERT, which could also be written from its weights."""
    model = references.write("albert-onnx", tmp_path / "source")
    (model / "onnx/model.onnx").rename(model / "onnx/other.onnx")
    assert "onnx/model.onnx" in refused(model, tmp_path / "none")
    named = built(model, tmp_path / "named", *EXACT, "--onnx", "onnx/other.onnx")
    assert Manifest.read(named).architecture == "albert"


def test_every_other_input_is_made_of_the_token_ids(tmp_path: Path) -> None:
    """The mask is ones, segments are zeros, positions start at 0, and the past is empty. The graph returns their sum."""
    model = tiny_bert.write(tmp_path / "source", config={"model_type": "other"})
    (model / "onnx").mkdir()
    onnx.save(_sum_of_inputs(), model / "onnx/model.onnx")
    service = serve(made(model, tmp_path / "model"))
    (vector,) = service.embed(["abc"], Options(normalize=False)).vectors
    ids = np.array(tiny_bert.tokenizer().encode("abc").ids)
    ids = ids[ids != tiny_bert.VOCABULARY.index("[PAD]")]
    places = np.arange(len(ids))
    np.testing.assert_allclose(vector, np.full(tiny_bert.HIDDEN, (ids + 1 + 0 + places).mean()), rtol=1e-6)


def _sum_of_inputs() -> onnx.ModelProto:
    """Return a graph whose token vectors are the sum of all inputs at that token, plus the length of the past."""
    names = ["input_ids", "attention_mask", "token_type_ids", "position_ids"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in names]
    inputs.append(helper.make_tensor_value_info("past_key_values.0.key", TensorProto.FLOAT, ["batch", 2, "past", 8]))
    nodes = [
        helper.make_node("Sum", [f"{name}.float" for name in names], ["sum"]),
        helper.make_node("ReduceSum", ["past_key_values.0.key"], ["past"], keepdims=0),
        helper.make_node("Add", ["sum", "past"], ["all"]),
        helper.make_node("Unsqueeze", ["all", "last"], ["column"]),
        helper.make_node("Mul", ["column", "ones"], ["last_hidden_state"]),
    ]
    nodes[:0] = [helper.make_node("Cast", [name], [f"{name}.float"], to=TensorProto.FLOAT) for name in names]
    constants = [
        numpy_helper.from_array(np.array([2]), "last"),
        numpy_helper.from_array(np.ones(tiny_bert.HIDDEN, np.float32), "ones"),
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", tiny_bert.HIDDEN])
    graph = helper.make_graph(nodes, "sum", inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


EMPTY = ("image_features", "pixel_values", "audio_features", "input_features")


@pytest.mark.parametrize("name", EMPTY)
def test_a_model_of_texts_and_images_gets_only_texts(name: str, tmp_path: Path) -> None:
    """There is no image and no sound, so the graph's sum over them is zero."""
    model = _sum_of_inputs()
    model.graph.input[-1].name = name
    (sums,) = (node for node in model.graph.node if node.op_type == "ReduceSum")
    sums.input[0] = name
    folder = _own(tmp_path / "source", model)
    (vector,) = serve(made(folder, tmp_path / "model")).embed(["abc"], Options(normalize=False)).vectors
    assert vector[0] == pytest.approx(_expected_sum())


def _own(folder: Path, model: onnx.ModelProto, **config: object) -> Path:
    """Write a model's folder with this ONNX file."""
    written = tiny_bert.write(folder, config={"model_type": "other", **config})
    (written / "onnx").mkdir()
    onnx.save(model, written / "onnx/model.onnx")
    return written


def _expected_sum() -> float:
    ids = [token for token in tiny_bert.tokenizer().encode("abc").ids if token != tiny_bert.VOCABULARY.index("[PAD]")]
    return float(np.mean([token + 1 + place for place, token in enumerate(ids)]))


TASKS = ["retrieval.query", "retrieval.passage", "text-matching"]


def _of_tasks() -> onnx.ModelProto:
    """Return a graph that multiplies the sum of its inputs by the number of the task plus 1."""
    model = _sum_of_inputs()
    model.graph.input.append(helper.make_tensor_value_info("task_id", TensorProto.INT64, [1]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "unit"))
    model.graph.node[-1].output[0] = "of no task"
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["task_id"], ["task.float"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["task.float", "unit"], ["task.factor"]),
            helper.make_node("Mul", ["of no task", "task.factor"], ["last_hidden_state"]),
        ]
    )
    return model


def test_the_graph_gets_the_number_of_the_chosen_task(tmp_path: Path) -> None:
    """config.json has the names of tasks. The manifest records the chosen one."""
    folder = _own(tmp_path / "source", _of_tasks(), lora_adaptations=TASKS)
    out = built(folder, tmp_path / "model", *EXACT, "--task", "text-matching")
    (vector,) = serve(out).embed(["abc"], Options(normalize=False)).vectors
    assert vector[0] == pytest.approx(3 * _expected_sum())
    assert Manifest.read(out).overrides == {"task": "text-matching"}


def test_a_task_is_neither_guessed_nor_ignored(tmp_path: Path) -> None:
    """A model with tasks needs one. A model without tasks refuses one."""
    folder = _own(tmp_path / "source", _of_tasks(), lora_adaptations=TASKS)
    expected = "the model's own ONNX file takes a task: set TASK to retrieval.query, retrieval.passage, text-matching"
    assert refused(folder, tmp_path / "model") == expected
    assert refused(folder, tmp_path / "model", overrides=Overrides(task="other")) == expected
    plain = _own(tmp_path / "plain", _sum_of_inputs())
    assert refused(plain, tmp_path / "model", overrides=Overrides(task="other")) == "TASK is other, but model.onnx takes no task"


def test_an_optimized_file_is_used_if_there_is_no_plain_one(tmp_path: Path) -> None:
    """Sentence Transformers names it by its level. Raising the opset does not change ONNX Runtime's own operators."""
    model = references.write("albert-onnx", tmp_path / "source")
    plain = model / "onnx/model.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(model / "onnx/model_O2.onnx")
    options.log_severity_level = 3
    expected = vectors(made(model, tmp_path / "plain"))
    onnxruntime.InferenceSession(plain, options, providers=["CPUExecutionProvider"])
    assert any(node.domain == "com.microsoft" for node in onnx.load(model / "onnx/model_O2.onnx").graph.node)
    plain.unlink()
    found = vectors(made(model, tmp_path / "optimized"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_file_without_token_vectors_gives_only_the_text_s_vector(tmp_path: Path, client_of: ClientOf) -> None:
    """test_references.py compares the text's vector. Vectors of tokens and another pooling are refused."""
    model = references.write("sentence-onnx", tmp_path / "source")
    client = client_of(made(model, tmp_path / "model"))
    assert client.post({"inputs": "words"}).status == 200
    sentence = refused(model, tmp_path / "other", overrides=Overrides(pooling="cls"))
    assert sentence.startswith("model.onnx gives a text's sentence_embedding alone, pooled already: neither POOLING")
    with pytest.raises(Validation, match="This model gives no vectors of tokens"):
        serve(tmp_path / "model").embed_tokens(["words"], Options(), lambda _tokens, _width: None)


def test_token_vectors_after_modules_are_not_used_as_those_of_the_encoder(tmp_path: Path) -> None:
    """The output token_embeddings comes after the Dense module on tokens, so it is not the encoder's."""
    model = _own(tmp_path / "tiny", _sum_of_inputs())
    listed = json.loads((model / "modules.json").read_text())
    dense = {"idx": 1, "name": "1", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (model / "modules.json").write_text(json.dumps([listed[0], dense, listed[1]]))
    (model / "2_Dense").mkdir()
    config = {"in_features": tiny_bert.HIDDEN, "out_features": tiny_bert.HIDDEN, "module_input_name": "token_embeddings"}
    (model / "2_Dense/config.json").write_text(json.dumps(config | {"activation_function": "torch.nn.Identity"}))
    tensors = {"linear.weight": np.eye(tiny_bert.HIDDEN, dtype=np.float32), "linear.bias": np.zeros(tiny_bert.HIDDEN, np.float32)}
    safetensors.numpy.save_file(tensors, model / "2_Dense/model.safetensors")
    (vector,) = serve(made(model, tmp_path / "model")).embed(["abc"], Options(normalize=False)).vectors
    assert vector[0] == pytest.approx(_expected_sum())
    own = _sum_of_inputs()
    own.graph.node[-1].output[0] = own.graph.output[0].name = "token_embeddings"
    onnx.save(own, model / "onnx/model.onnx")
    sentence = refused(model, tmp_path / "other")
    assert sentence == "model.onnx gives token_embeddings; this builder needs last_hidden_state or sentence_embedding"


# --- Numbers of other kinds than float32 ------------------------------------------------------------------


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same graph in float16, as converters write it."""
    tensors = [*model.graph.initializer, *(attribute.t for node in model.graph.node for attribute in node.attribute)]
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT:
            half = np.clip(numpy_helper.to_array(tensor), -65504, 65504).astype(np.float16)  # masks are larger in float32
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def test_a_float16_file_is_computed_in_float32(tmp_path: Path) -> None:
    """Its vectors are those of the official library. A float16 graph would round them at each operator."""
    model = references.write("albert-onnx", tmp_path / "source")
    onnx.save(_halved(onnx.load(model / "onnx/model.onnx")), model / "onnx/model.onnx")
    service = serve(made(model, tmp_path / "model"))
    rows = [row for row in references.load("albert-onnx")["rows"] if row["side"] == "right"]
    ours, theirs = service.embed([row["text"] for row in rows], Options()).vectors, np.array([row["vector"] for row in rows])
    assert (ours * theirs).sum(axis=1).min() >= 0.99999


def test_a_float16_file_becomes_int8_as_its_float32_twin_does(tmp_path: Path) -> None:
    """Nearly all weights of the reference models are exact in float16, so the vectors are the same."""
    twins = []
    for name in ("float32", "float16"):
        model = references.write("llama-onnx", tmp_path / name / "source")
        if name == "float16":
            onnx.save(_halved(onnx.load(model / "onnx/model.onnx")), model / "onnx/model.onnx")
        make(model, tmp_path / name / "model", "int8", (0.98, 0.9))
        assert Manifest.read(tmp_path / name / "model").precision == "int8"
        twins.append(vectors(tmp_path / name / "model"))
    assert (twins[0] * twins[1]).sum(axis=1).min() > 0.99  # a number near a tie is rounded to another byte


def _quantized(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    source = path.with_name("float.onnx")
    onnx.save(model, source)
    quantize_dynamic(source, path)
    source.unlink()
    return onnx.load(path)


def _dequantized(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return a graph that stores one of its tensors as bytes."""
    del path
    scale, zero = (
        numpy_helper.from_array(np.array(1, np.float32), "scale"),
        numpy_helper.from_array(np.array([1], np.int8), "bytes"),
    )
    model.graph.initializer.extend([scale, zero])
    model.graph.node.append(helper.make_node("DequantizeLinear", ["bytes", "scale"], ["unused"]))
    return model


def _blocks_within(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return a graph with 4-bit weights in a branch."""
    del path
    node = helper.make_node("MatMulNBits", ["a", "b", "c"], ["d"], domain="com.microsoft", K=32, N=1, bits=4, block_size=32)
    branch = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("d", TensorProto.FLOAT, None)])
    model.graph.node.append(helper.make_node("If", ["condition"], ["unused"], then_branch=branch, else_branch=branch))
    return model


QUANTIZED: dict[str, tuple[Callable[[onnx.ModelProto, Path], onnx.ModelProto], str]] = {
    "dynamic": (_quantized, "DequantizeLinear, DynamicQuantizeLinear, MatMulInteger"),
    "static": (_dequantized, "DequantizeLinear"),
    "blocks": (_blocks_within, "MatMulNBits"),
}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", QUANTIZED)
def test_a_file_that_is_quantized_already_is_refused(name: str, precision: str, tmp_path: Path) -> None:
    """Its loss cannot be measured, and it saturates on processors without VNNI. The sentence says which file to name instead."""
    model = references.write("albert-onnx", tmp_path / "source")
    path = model / "onnx/model.onnx"
    change, operators = QUANTIZED[name]
    onnx.save(change(onnx.load(path), path), path)
    sentence = refused(model, tmp_path / "model", precision)
    assert sentence.startswith(f"model.onnx is quantized already ({operators}): ")
    assert "name one with ONNX=, such as onnx/model.onnx" in sentence
