"""A model's folder may be hostile. The builder then ends soon, with one sentence, and writes nothing."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from layers.model import tokenizer
from layers.model.configuration import Unsupported
from layers.model.specification import Specification
from tests.layers.model import tiny_bert
from tests.layers.model.commands import refused

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no heads": ({"config": {"num_attention_heads": 0}}, "num_attention_heads is 0; it must be a whole number from 1 to 4,096"),
    "heads that do not divide": ({"config": {"num_attention_heads": 5}}, "num_attention_heads is 5; it must divide hidden_size"),
    "layers below none": ({"config": {"num_hidden_layers": -1}}, "num_hidden_layers is -1; it must be a whole number from 1"),
    "a million layers": (
        {"config": {"num_hidden_layers": 10**6}},
        "num_hidden_layers is 1000000; it must be a whole number from 1",
    ),
    "epsilon": ({"config": {"layer_norm_eps": math.nan}}, "layer_norm_eps is nan; it must be a number from 0 to 1"),
    "positions": (
        {"config": {"model_type": "roberta", "pad_token_id": 95}},
        "max_position_embeddings is 96; none is left after pad_token_id, which is 95",
    ),
    "limit": ({"sentence_bert_config": {"max_seq_length": math.nan}}, "max_seq_length is nan; it must be a number of at least 1"),
    "pooling": ({"pooling": {"pooling_mode": 5}}, "pooling_mode is 5; this builder knows cls, max"),
    "poolings": ({"pooling": {"pooling_mode": ["mean"] * 10**6}}, "pooling_mode is ['mean', 'mean'"),
    "modalities": ({"sentence_bert_config": {"modality_config": [1]}}, "modality_config is [1]; this builder knows text through"),
    "default prompt": (
        {"config_sentence_transformers": {"default_prompt_name": []}},
        "default_prompt_name is []; it must be a text",
    ),
    "lower case": (
        {"tokenizer_config": {"tokenizer_class": "BertTokenizer", "do_lower_case": "yes"}},
        "do_lower_case is 'yes'; it must be true or false",
    ),
    "module's path": (
        {"modules": [{"path": 5, "type": "sentence_transformers.models.Normalize"}]},
        "is not a list of modules with",
    ),
    "zero byte": ({"modules": [{"path": "a\0b", "type": "sentence_transformers.models.Normalize"}]}, "is no path in the model's"),
    "modules": ({"modules": [{"path": "", "type": "sentence_transformers.models.Normalize"}] * 1000}, "lists 1002 modules"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_value_that_no_model_has_is_refused_by_its_field(name: str, tmp_path: Path) -> None:
    """The sentence has the allowed range. Without the check, some of these would kill the process that serves them."""
    changes, expected = FIELDS[name]
    sentence = refused(tiny_bert.write(tmp_path / "tiny", **changes), tmp_path / "model")
    assert expected in sentence
    assert len(sentence) < 1000


def _pipe(name: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


def _link(name: str, target: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


def _directory(name: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def _sparse(name: str) -> Callable[[Path], object]:
    """Make a sparse file that is larger than any memory and uses no space on the disk."""
    return lambda folder: os.truncate(folder / name, 1 << 40)


def _deep(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("[" * 100_000)


def _weights(**values: Any) -> Callable[[Path], object]:  # noqa: ANN401
    """Fill tensors with one value. `__` stands for a dot in a name."""

    def spoil(folder: Path) -> None:
        tensors = tiny_bert.weights()
        for name, value in values.items():
            tensors[name.replace("__", ".")][...] = value
        safetensors.numpy.save_file(tensors, folder / "model.safetensors")

    return spoil


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    **{
        f"a pipe for {name}": (_pipe(name), f"{name} in {{model}} is not a regular file")
        for name in ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "README.md")
    },
    "a directory": (_directory("tokenizer.json"), "tokenizer.json in {model} is not a regular file"),
    "an endless card": (_link("README.md", "/dev/zero"), "README.md is a link that leaves the model's folder"),
    "a card from outside": (_link("README.md", "/etc/hostname"), "README.md is a link that leaves the model's folder"),
    "a circle": (_link("config.json", "config.json"), "config.json is missing in {model}"),
    "a link to nothing": (_link("tokenizer_config.json", "absent"), "tokenizer_config.json is missing in {model}"),
    "an endless configuration": (
        _sparse("config.json"),
        "config.json in {model} has 1,099,511,627,776 bytes; this builder reads at most",
    ),
    "an endless tokenizer": (_sparse("tokenizer.json"), "tokenizer.json in {model} has 1,099,511,627,776 bytes"),
    "deep JSON": (_deep("config.json"), "config.json in {model} is nested too deeply"),
    "a deep list of modules": (_deep("modules.json"), "modules.json in {model} is nested too deeply"),
    "no number": (_weights(embeddings__LayerNorm__bias=np.nan), "embeddings.LayerNorm.bias with numbers that are not finite"),
    "an infinite number": (_weights(encoder__layer__1__output__dense__weight=np.inf), "with numbers that are not finite"),
    "overflow": (
        _weights(encoder__layer__1__intermediate__dense__weight=3e38),
        "The model gave a vector that is not finite for 33 of the inputs",
    ),
    "one vector for all": (
        _weights(encoder__layer__1__output__LayerNorm__weight=0),
        "the fp32 model gives the same vector for each of 33 passages",
    ),
    "zeros": (
        _weights(encoder__layer__1__output__LayerNorm__weight=0, encoder__layer__1__output__LayerNorm__bias=0),
        "the fp32 model gives a vector of zeros for 33 of 33 passages",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_or_holds_no_model_is_refused(name: str, tmp_path: Path) -> None:
    """The builder waits for no pipe, reads no device, follows no link out, and runs each model before it writes it."""
    spoil, expected = FILES[name]
    model = tiny_bert.write(tmp_path / "tiny")
    spoil(model)
    assert expected.replace("{model}", str(model)) in refused(model, tmp_path / "model")


@pytest.mark.parametrize("precision", ["int8", "fp16", "int4"])
def test_no_precision_of_a_model_without_use_is_written(precision: str, tmp_path: Path) -> None:
    """MIN_COSINE cannot accept it either."""
    model = tiny_bert.write(tmp_path / "tiny")
    _weights(encoder__layer__1__output__LayerNorm__weight=0)(model)
    sentence = refused(model, tmp_path / "model", precision, (-1, -1))
    assert "gives the same vector for each of 50 passages" in sentence


def _exported(folder: Path, **changes: Any) -> Path:  # noqa: ANN401
    """Write a model's folder with an ONNX file that looks up one row for each token."""
    model = tiny_bert.write(folder, config={"model_type": "albert"})
    shape = ["batch", "tokens"]
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, tiny_bert.HIDDEN])],
        [onnx.numpy_helper.from_array(tiny_bert.weights()["embeddings.word_embeddings.weight"], "table")],
    )
    made = helper.make_model(graph, **{"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 8} | changes)
    if changes.get("opset_imports") == []:
        del made.opset_import[:]
    (model / "onnx").mkdir()
    (model / "onnx/model.onnx").write_bytes(made.SerializeToString())
    return model


def test_an_onnx_file_without_a_version_of_its_operators_is_refused(tmp_path: Path) -> None:
    """Nobody knows what they compute."""
    sentence = refused(_exported(tmp_path / "tiny", opset_imports=[]), tmp_path / "model")
    assert sentence.startswith("model.onnx names no operator set of ONNX, so nobody knows")


def test_an_onnx_file_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    """Otherwise the builder would wait for ever."""
    model = _exported(tmp_path / "tiny")
    _pipe("onnx/model.onnx")(model)
    assert refused(model, tmp_path / "model") == f"onnx/model.onnx in {model} is not a regular file; nothing else is read"


# --- Any JSON at all --------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "mean", "bert", "\ud800"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=6,
)
CONFIGURATIONS = {
    "modules.json": [],
    "config.json": [
        *("model_type", "hidden_act", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size"),
        *("max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id", "position_embedding_type"),
    ],
    "sentence_bert_config.json": ["max_seq_length", "do_lower_case", "modality_config", "processing_kwargs", "transformer_task"],
    "config_sentence_transformers.json": ["prompts", "default_prompt_name", "similarity_fn_name", "model_type"],
    "1_Pooling/config.json": [
        "pooling_mode",
        "word_embedding_dimension",
        "embedding_dimension",
        "include_prompt",
        "pooling_mode_cls_token",
    ],
    "tokenizer_config.json": [
        "tokenizer_class",
        "do_lower_case",
        "strip_accents",
        "tokenize_chinese_chars",
        "model_max_length",
        "auto_map",
    ],
    "2_Dense/config.json": ["in_features", "out_features", "bias", "activation_function", "module_input_name", "use_residual"],
}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused(any_folder: Path, data: st.DataObject) -> None:
    """The whole file may be another value, too. No other exception is raised."""
    name = data.draw(st.sampled_from(sorted(CONFIGURATIONS)))
    path = any_folder / name
    original = path.read_bytes()
    content = json.loads(original)
    if isinstance(content, dict) and data.draw(st.integers(0, 9)):
        content[data.draw(st.sampled_from(CONFIGURATIONS[name]))] = data.draw(VALUES)
    elif isinstance(content, list):
        content[data.draw(st.integers(0, len(content) - 1))][data.draw(st.sampled_from(["type", "path", "name", "idx"]))] = (
            data.draw(VALUES)
        )
    else:
        content = data.draw(VALUES)
    try:
        path.write_text(json.dumps(content))
        tokenizer.write(Specification.read(any_folder), any_folder.parent, print)
    except Unsupported as refusal:
        assert 0 < len(str(refusal)) < 2000  # noqa: PT017 - either outcome is right
    finally:
        path.write_bytes(original)


@pytest.fixture
def any_folder(tmp_path: Path) -> Path:
    """Return a folder with every configuration file."""
    dense = [{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    folder = tiny_bert.write(tmp_path / "tiny", modules=dense, tokenizer_config={"tokenizer_class": "BertTokenizer"})
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense/config.json").write_text(json.dumps({"in_features": tiny_bert.HIDDEN, "out_features": 8}))
    return folder
