"""The builder refuses models that it cannot serve exactly, damaged files, and hostile files.

Each refusal is one sentence that names the file and the reason. Nothing is written.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper

from tests.conftest import ROOT
from tests.layers.model import tiny_bert
from tests.layers.model.commands import refusal, refused

LIBRARY = "sentence_transformers.models"
UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "module": (
        {"modules": [{"path": "2", "type": f"{LIBRARY}.LSTM"}]},
        "names the module 'sentence_transformers.models.LSTM': take a model without it; this builder knows sentence_transformers's",
    ),
    "module with encoders": (
        {"modules": [{"path": "2", "type": f"{LIBRARY}.Router"}]},
        "names the module 'sentence_transformers.models.Router': it has an encoder for each kind of text: build each from its own",
    ),
    "custom module": (
        {"modules": [{"path": "2", "type": "custom_st.Normalize"}]},
        "names the module 'custom_st.Normalize', code of the model's own, and none is run here: take a copy of the folder whose",
    ),
    "vectors for tokens": (
        {"config_sentence_transformers": {"model_type": "MultiVectorEncoder"}},
        "model_type is 'MultiVectorEncoder'; it gives a vector for each token, and a text has one here: take a SentenceTransformer",
    ),
    "pairs": (
        {"config_sentence_transformers": {"model_type": "CrossEncoder"}},
        "modules.json has the modules Transformer, Pooling; this builder knows cross-encoders of one module, Transformer",
    ),
    "module outside": ({"modules": [{"path": "../x", "type": f"{LIBRARY}.Normalize"}]}, "../x lies outside the model's folder"),
    "order": (
        {"modules": [{"path": "1_Pooling", "type": f"{LIBRARY}.Pooling"}]},
        "has the modules Transformer, Pooling, Pooling; this builder knows Transformer, then those that work on the tokens",
    ),
    "architecture": (
        {"config": {"model_type": "albert"}},
        "onnx/model.onnx is missing in {model}: config.json says model_type is 'albert'; this builder knows bert, roberta",
    ),
    "activation": ({"config": {"hidden_act": "xielu"}}, "hidden_act is 'xielu'; this builder knows gelu, gelu_python, gelu_new"),
    "positions": ({"config": {"position_embedding_type": "relative_key"}}, "position_embedding_type is 'relative_key'"),
    "custom code": ({"config": {"auto_map": {"AutoModel": "x.Y"}}}, "auto_map is {'AutoModel': 'x.Y'}"),
    "pooling": (
        {"pooling": {"pooling_mode": "attention"}},
        "1_Pooling/config.json says pooling_mode is 'attention'; this builder knows cls, max",
    ),
    "dimension": ({"pooling": {"word_embedding_dimension": 48}}, "the modules expect vectors of dimension 48, config.json says 32"),
    "similarity": (
        {"config_sentence_transformers": {"similarity_fn_name": "hamming"}},
        "similarity_fn_name is 'hamming'; this builder knows cosine, dot",
    ),
    "default prompt": (
        {"config_sentence_transformers": {"prompts": {"a": "a: "}, "default_prompt_name": "b"}},
        "default_prompt_name is 'b'; its prompts are a",
    ),
    "prompts": ({"config_sentence_transformers": {"prompts": {"a": 1}}}, "has prompts that are not texts"),
    "another task": ({"sentence_bert_config": {"transformer_task": "fill-mask"}}, "transformer_task is 'fill-mask'"),
    "messages": ({"sentence_bert_config": {"modality_config": {"message": {}}}}, "says modality_config is {'message': {}}"),
    "tokenizer settings": ({"sentence_bert_config": {"processing_kwargs": {"text": {}}}}, "processing_kwargs is {'text': {}}"),
    "custom tokenizer": ({"tokenizer_config": {"auto_map": {"AutoTokenizer": "x.Y"}}}, "tokenizer_config.json says auto_map is"),
    "not a number": (
        {"config": {"hidden_size": "32"}},
        "config.json says hidden_size is '32'; it must be a whole number from 1 to",
    ),
    "absent field": (
        {"config": {"hidden_size": None}},
        "config.json says hidden_size is None; it must be a whole number from 1 to",
    ),
    "vocabulary": ({"config": {"vocab_size": 20}}, "tokenizer.json gives token ids up to 88, config.json says vocab_size 20"),
    "missing tensor": (
        {"config": {"num_hidden_layers": 3}},
        "lacks the tensor encoder.layer.2.attention.self.query.weight, which config.json asks for",
    ),
    "other shape": ({"config": {"vocab_size": 150}}, "in shape (89, 32); config.json asks for (150, 32)"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_anything_unknown_that_would_change_vectors_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """A model is served exactly or not at all."""
    changes, expected = UNSUPPORTED[name]
    model = tiny_bert.write(tmp_path / "tiny", **changes)
    assert expected.replace("{model}", str(model)) in refused(model, tmp_path / "model")


def _delete(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def _typed(kind: type) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        tensors = tiny_bert.weights()
        tensors["embeddings.LayerNorm.weight"] = tensors["embeddings.LayerNorm.weight"].astype(kind)
        safetensors.numpy.save_file(tensors, folder / "model.safetensors")

    return spoil


def _linked(name: str) -> Callable[[Path], object]:
    """Move a file out of the folder and put a link in its place."""

    def spoil(folder: Path) -> None:
        outside = folder.parent / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return spoil


def _sharded(place: str) -> Callable[[Path], object]:
    """Write an index that puts every tensor into `place`, and a complete file outside of the folder."""

    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
        index = {"weight_map": dict.fromkeys(tiny_bert.weights(), place)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return spoil


def _sharded_none(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("{}")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (_delete("config.json"), "config.json is missing in"),
    "not JSON": (_write("config.json", b"{"), "config.json in"),
    "no tokenizer": (
        _delete("tokenizer.json"),
        "tokenizer.json is missing in {model}, and so is vocab.txt: save it with transformers' AutoTokenizer",
    ),
    "foreign tokenizer": (_write("tokenizer.json", b"{}"), "tokenizer.json in"),
    "no weights": (_delete("model.safetensors"), "model.safetensors is missing in"),
    "cut weights": (_write("model.safetensors", b"\x10\0\0\0"), "model.safetensors in"),
    "truncated weights": (_cut("model.safetensors"), "model.safetensors in {model} cannot be read: "),
    "integer weights": (
        _typed(np.int32),
        "has the tensor embeddings.LayerNorm.weight as I32; this builder reads F32, F16, BF16, F64",
    ),
    "linked weights": (_linked("model.safetensors"), "model.safetensors is a link that leaves the model's folder {model}"),
    "linked tokenizer": (_linked("tokenizer.json"), "tokenizer.json is a link that leaves the model's folder {model}"),
    "linked modules": (_linked("modules.json"), "modules.json is a link that leaves the model's folder {model}"),
    "linked config": (_linked("config.json"), "config.json is a link that leaves the model's folder {model}"),
    "shard outside": (_sharded("../outside.safetensors"), "../outside.safetensors lies outside the model's folder {model}"),
    "shard elsewhere": (_sharded("/etc/hostname"), "/etc/hostname lies outside the model's folder {model}"),
    "missing shard": (_sharded("model-00001-of-00002.safetensors"), "model-00001-of-00002.safetensors is missing in {model}"),
    "empty index": (_sharded_none, "model.safetensors.index.json in {model} has no weight_map from tensors to files"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_source_is_refused_by_the_file(name: str, tmp_path: Path) -> None:
    """There is one sentence, and nothing is written."""
    spoil, expected = BROKEN[name]
    model = tiny_bert.write(tmp_path / "tiny")
    spoil(model)
    assert expected.replace("{model}", str(model)) in refused(model, tmp_path / "model")


# --- A model's own ONNX file ------------------------------------------------------------------------------


def _graph(inputs: tuple[str, ...], output: str, hidden: int = tiny_bert.HIDDEN) -> onnx.ModelProto:
    """Return an encoder that gives the same vector for every token."""
    shape = ["batch", "tokens"]
    table = helper.make_tensor("table", TensorProto.FLOAT, [1, hidden], np.ones(hidden, np.float32))
    nodes = [
        helper.make_node("Mul", ["input_ids", "nought"], ["zeros"]),
        helper.make_node("Gather", ["table", "zeros"], [output]),
    ]
    constants = [table, helper.make_tensor("nought", TensorProto.INT64, [], [0])]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [*shape, hidden])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _outside() -> bytes:
    """Return a graph that names a file above the folder for its weights."""
    model = _graph(("input_ids",), "last_hidden_state")
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../outside.bin")
    return bytes(model.SerializeToString())


GRAPHS: dict[str, tuple[bytes, str]] = {
    "not a graph": (b"no graph", "model.onnx in {model}/onnx cannot be read: "),
    "input": (
        _graph(("input_ids", "bbox"), "last_hidden_state").SerializeToString(),
        "model.onnx takes the input bbox; this builder knows input_ids, attention_mask, input_mask",
    ),
    "output": (
        _graph(("input_ids",), "logits").SerializeToString(),
        "model.onnx gives logits; this builder needs token_embeddings, last_hidden_state or sentence_embedding",
    ),
    "dimension": (
        _graph(("input_ids",), "last_hidden_state", 48).SerializeToString(),
        "the model's own ONNX file gives (1, 3, 48) for 3 tokens; the modules expect (1, 3, 32)",
    ),
    "weights outside": (_outside(), "../../outside.bin lies outside the model's folder {model}/onnx"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_an_onnx_file_that_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    """The sentence names the unexpected input, output or dimension."""
    content, expected = GRAPHS[name]
    model = tiny_bert.write(tmp_path / "tiny", config={"model_type": "albert"})
    (model / "onnx").mkdir()
    (model / "onnx/model.onnx").write_bytes(content)
    (tmp_path / "outside.bin").write_bytes(bytes(4 * tiny_bert.HIDDEN))
    assert expected.replace("{model}", str(model)) in refused(model, tmp_path / "model")


def test_an_onnx_file_that_is_named_must_exist(tmp_path: Path) -> None:
    """The weights are not used instead."""
    sentence = refusal(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", "--onnx", "onnx/other.onnx")
    assert sentence == f"onnx/other.onnx is missing in {tmp_path / 'tiny'}: it was asked for"


# --- The disk ---------------------------------------------------------------------------------------------


def test_a_file_that_the_disk_does_not_take_is_reported_and_nothing_is_left(tmp_path: Path) -> None:
    """The system's limit on the size of files has the effect of a full disk."""
    model, out = tiny_bert.write(tmp_path / "tiny"), tmp_path / "model"
    command = f'ulimit -f 40; exec "{sys.executable}" -m layers.model "{model}" --out "{out}" --precision fp32'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"Not built: {out}: {os.strerror(errno.EFBIG)}\n")
    assert list(tmp_path.iterdir()) == [model]


def test_a_full_disk_is_reported_and_nothing_is_left(tmp_path: Path) -> None:
    """The test needs the right to mount a file system, which has 100 kB."""
    model, disk = tiny_bert.write(tmp_path / "tiny"), tmp_path / "disk"
    disk.mkdir()
    build_there = f'"{sys.executable}" -m layers.model "{model}" --out "{disk}/model" --precision fp32; ls -A "{disk}"'
    command = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=100k disk "{disk}" || exit 9; {build_there}',
    ]
    if shutil.which("unshare") is None or (done := _run(command)).returncode == 9:
        pytest.skip("no file system can be mounted here")
    assert done.stderr == f"Not built: {disk}/model: {os.strerror(errno.ENOSPC)}\n"
    assert "model" not in done.stdout.splitlines()[-1]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
