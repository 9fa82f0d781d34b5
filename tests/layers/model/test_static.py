"""The builder writes static models as Sentence Transformers loads them, and refuses what it cannot serve.

test_references.py compares their vectors with the official library's.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from tokenizers import Tokenizer

from handler.embedding.manifest import SCALES, TABLE, Manifest
from handler.service import Options
from layers.model import builder
from layers.model.configuration import Unsupported
from layers.model.onnx_files import OnnxFile
from layers.model.overrides import Overrides
from layers.model.precision import PRECISIONS
from layers.model.preview import Preview
from layers.model.sources import Source
from layers.model.static import LONGEST, MODEL2VEC_TOKENS
from tests.conftest import serve
from tests.layers.model import folders, hub, tiny_bert, tiny_static
from tests.layers.model.commands import built, make, refused
from tests.layers.model.random_weights import places, tensor

SIZES = (tiny_static.TOKENS, tiny_static.DIMENSION)


def rows_of(tensors: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    """Return the rows of a model that is built in float32 from these tensors."""
    make(tiny_static.write(folder / "source", tensors=tensors), folder / "model")
    table: np.ndarray = np.load(folder / "model" / TABLE)
    return table


# --- What is written --------------------------------------------------------------------------------------


def test_the_manifest_says_how_the_model_is_loaded(tmp_path: Path) -> None:
    """The table has a file of its own, and int8 rows have another one for their scales."""
    source = tiny_static.write(tmp_path / "tiny", "Normalize")
    for precision, names in (("int8", {SCALES, TABLE}), ("fp16", {TABLE}), ("fp32", {TABLE})):
        manifest = make(source, tmp_path / precision, precision)
        assert manifest == Manifest.read(tmp_path / precision)
        assert manifest.files.keys() == {*names, "tokenizer.json"} == {path.name for path in (tmp_path / precision).glob("[st]*")}
        assert (manifest.encoder, manifest.portable, manifest.operators) == ("static", True, False)
        assert (manifest.architecture, manifest.pooling, manifest.dimension) == ("static", "mean", tiny_static.DIMENSION)
        assert (manifest.codec, manifest.precision) == (PRECISIONS[precision].codec, precision)
        assert manifest.overrides == {}
        assert manifest.ranges.keys() == {str(tiny_static.DIMENSION)}


def test_the_rows_of_each_precision_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    """int8 rows are within half a step, of which there are 127 up to the largest number of the row."""
    source, rows = tiny_static.write(tmp_path / "tiny"), tiny_static.rows()
    for precision in ("int8", "fp16", "fp32"):
        make(source, tmp_path / precision, precision)
    exact, half, small = (np.load(tmp_path / precision / TABLE) for precision in ("fp32", "fp16", "int8"))
    scales = np.load(tmp_path / "int8" / SCALES)
    assert (exact.dtype, half.dtype, small.dtype, scales.dtype) == (np.float32, np.float16, np.int8, np.float32)
    assert np.array_equal(exact, rows)
    assert np.array_equal(half, rows.astype(np.float16))
    assert (np.abs(small * scales[:, np.newaxis] - rows) <= scales[:, np.newaxis] * 0.501).all()
    assert (np.abs(small).max(axis=1) == 127).all()


def test_a_row_of_zeros_stays_one_in_every_precision(tmp_path: Path) -> None:
    """Its scale is not zero, so nothing is divided by zero."""
    rows = tiny_static.rows()
    rows[5] = 0
    source = tiny_static.write(tmp_path / "tiny", tensors={"embedding.weight": rows})
    for precision in ("int8", "fp16", "fp32"):
        make(source, tmp_path / precision, precision)
        assert not np.load(tmp_path / precision / TABLE)[5].any()


def test_a_number_beyond_float16_is_refused_in_float16(tmp_path: Path) -> None:
    """Its vectors would not be finite."""
    source = tiny_static.write(tmp_path / "tiny", tensors={"embedding.weight": tiny_static.rows() * np.float32(1e6)})
    make(source, tmp_path / "exact")
    assert "The model gave a vector that is not finite for" in refused(source, tmp_path / "model", "fp16")


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """The manifest is the same, too."""
    source = tiny_static.write(tmp_path / "tiny")
    for name in ("one", "two"):
        make(source, tmp_path / name, "int8")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["manifest.json", "scales.npy", "table.npy", "tokenizer.json"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_the_tokenizer_puts_no_tokens_around_a_text(tmp_path: Path) -> None:
    """A special token that a text spells is kept, as in the library; so is an unknown word."""
    make(tiny_static.write(tmp_path / "tiny"), tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(tmp_path / "model/tokenizer.json"))
    assert (tokenizer.padding, tokenizer.truncation) == (None, None)
    assert tokenizer.encode("").ids == []
    assert tokenizer.encode("a ü").tokens == ["a", "[UNK]"]
    unknown = tiny_static.rows()[1]
    (vector,) = serve(tmp_path / "model").embed(["ü"], Options(normalize=False)).vectors
    assert vector.tobytes() == unknown.tobytes()


# --- Checkpoints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8])
def test_model2vec_s_table_is_read_in_every_type(kind: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a type of numbers
    """int8 numbers count as they are: Model2Vec has no scale for them."""
    table = tensor("embeddings", SIZES, kind)
    assert np.array_equal(rows_of({"embeddings": table}, tmp_path), table.astype(np.float32))


def test_tokens_of_model2vec_can_share_rows_and_have_factors(tmp_path: Path) -> None:
    """A factor is multiplied in the wider type of both, and the product is rounded once."""
    table, factors = tensor("embeddings", (9, tiny_static.DIMENSION), np.float16), tensor("weights", SIZES[:1], np.float64)
    factors += 1 / 3
    mapping = places("mapping", tiny_static.TOKENS, 9)
    found = rows_of({"embeddings": table, "mapping": mapping, "weights": factors}, tmp_path / "both")
    assert np.array_equal(found, (table[mapping].astype(np.float64) * factors[:, np.newaxis]).astype(np.float32))
    found = rows_of({"embeddings": table, "mapping": mapping.astype(np.int32)}, tmp_path / "mapping")
    assert np.array_equal(found, table[mapping].astype(np.float32))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no table": ({"weight": np.ones(SIZES, np.float32)}, "has none of the tensors embedding.weight and embeddings, one of which"),
    "one axis": ({"embeddings": np.ones(9, np.float32)}, "the tensor embeddings as F32 in shape (9,); it must be a table of rows"),
    "no numbers": ({"embeddings": np.ones((70, 0), np.float32)}, "the tensor embeddings as F32 in shape (70, 0)"),
    "whole numbers": ({"embeddings": np.ones(SIZES, np.int32)}, "the tensor embeddings as I32"),
    "a number that is none": (
        {"embedding.weight": np.full(SIZES, np.nan, np.float32)},
        "the checkpoint has the tensor embedding.weight with numbers that are not finite",
    ),
    "a number beyond float32": ({"embeddings": np.full(SIZES, 1e300)}, "with numbers that are not finite"),
    "a row that is not there": (
        {"embeddings": np.ones((3, 8), np.float32), "mapping": np.full(SIZES[:1], 3)},
        "the tensor mapping with rows that the table of 3 has not",
    ),
    "a row before the first": (
        {"embeddings": np.ones((3, 8), np.float32), "mapping": np.full(SIZES[:1], -1)},
        "the tensor mapping",
    ),
    "a mapping of fractions": (
        {"embeddings": np.ones((3, 8), np.float32), "mapping": np.ones(SIZES[:1], np.float32)},
        "the tensor mapping as F32 in shape",
    ),
    "too few factors": (
        {"embeddings": np.ones(SIZES, np.float32), "weights": np.ones(3, np.float32)},
        f"the tensor weights as F32 in shape (3,); it must be a factor for each of {tiny_static.TOKENS} tokens",
    ),
    "another tokenizer's table": ({"embeddings": np.ones((9, 8), np.float32)}, "tokenizer.json gives token ids up to"),
    "a table of zeros": (
        {"embeddings": np.zeros(SIZES, np.float32)},
        "the fp32 model gives a vector of zeros for 33 of 33 passages",
    ),
    "a table of one row": ({"embeddings": np.ones(SIZES, np.float32)}, "the fp32 model gives the same vector for each of 33"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_checkpoint_that_is_no_table_is_refused(name: str, tmp_path: Path) -> None:
    """The sentence names the tensor."""
    tensors, sentence = BAD[name]
    source = tiny_static.write(tmp_path / "tiny", tensors=tensors)
    with np.errstate(over="ignore"):
        assert sentence in refused(source, tmp_path / "model")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("model.safetensors", None, "model.safetensors is missing in"),
        ("model.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!", "model.safetensors in"),
        ("tokenizer.json", None, "tokenizer.json is missing in"),
        ("tokenizer.json", b'{"truncation": 5}', "tokenizer.json in"),
    ],
)
def test_a_missing_or_damaged_file_is_refused(file: str, content: bytes | None, sentence: str, tmp_path: Path) -> None:
    """Nothing is written."""
    source = tiny_static.write(tmp_path / "tiny")
    (source / file).unlink()
    if content is not None:
        (source / file).write_bytes(content)
    assert refused(source, tmp_path / "model").startswith(sentence)


# --- Modules and settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (["Dense"], "the modules StaticEmbedding, Dense; after a StaticEmbedding this builder knows Normalize, Dropout"),
        (["Normalize", "LayerNorm"], "the modules StaticEmbedding, Normalize, LayerNorm; after a StaticEmbedding"),
        (["Pooling"], "the modules StaticEmbedding, Pooling; after a StaticEmbedding"),
        (["StaticEmbedding"], "the modules StaticEmbedding, StaticEmbedding; after"),
        (["LSTM"], "names the module 'sentence_transformers.models.LSTM': take a model without it"),
    ],
)
def test_a_module_that_would_need_a_graph_is_refused(after: list[str], sentence: str, tmp_path: Path) -> None:
    """By its name."""
    assert sentence in refused(tiny_static.write(tmp_path / "tiny", *after), tmp_path / "model")


def test_a_table_after_another_module_is_refused(tmp_path: Path) -> None:
    """The library would not find its input."""
    source = tiny_bert.write(tmp_path / "tiny")
    folders.write(source, {"modules.json": folders.modules("Transformer", "StaticEmbedding", "Pooling")})
    assert "has the modules Transformer, StaticEmbedding, Pooling; this builder knows Transformer, then" in refused(
        source, tmp_path / "model"
    )


def test_a_normalize_module_of_tokens_is_refused(tmp_path: Path) -> None:
    """A static model has no vectors of tokens in the library."""
    source = tiny_static.write(tmp_path / "tiny", "Normalize")
    folders.write(source, {"1_Normalize/config.json": {"module_input_name": "token_embeddings"}})
    assert "module_input_name is 'token_embeddings'; this builder knows sentence_embedding" in refused(source, tmp_path / "model")


def ordered(source: Path, out: Path, exported: OnnxFile | None = None, **settings: Any) -> Manifest:  # noqa: ANN401 - of an order
    """Build in float32 with settings of `make model`."""
    order = builder.Order(Source(source, "tiny", "1", exported), out, "fp32", None, 1, 20, Overrides(**settings))
    return builder.build(order, lambda _: None)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"pooling": "cls"}, "POOLING is cls, but a StaticEmbedding gives the mean of the tokens' vectors alone"),
        ({"task": "retrieval"}, "TASK is retrieval, but the model is a table of vectors: leave TASK out"),
        ({"exported": OnnxFile("onnx/model.onnx")}, "ONNX is onnx/model.onnx, but the model is a table of vectors: leave ONNX out"),
    ],
)
def test_a_setting_that_a_table_cannot_have_is_refused(settings: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    """The sentence names the setting."""
    source = tiny_static.write(tmp_path / "tiny")
    with pytest.raises(Unsupported, match=sentence):
        ordered(source, tmp_path / "model", **settings)


def test_a_table_below_its_bounds_is_not_written(tmp_path: Path) -> None:
    """It has no graph whose steps could be finer."""
    sentence = refused(tiny_static.write(tmp_path / "tiny"), tmp_path / "model", "int8", (1.5, 0.0))
    assert sentence.startswith("tiny as int8 is not faithful enough: mean cosine ")


def test_weights_of_4_bits_are_refused(tmp_path: Path) -> None:
    """The sentence names the possible precisions."""
    sentence = refused(tiny_static.write(tmp_path / "tiny"), tmp_path / "model", "int4")
    assert sentence == "a model made from its table of vectors can be int8 or fp16 or fp32, not int4"


def test_settings_that_replace_what_files_say_are_recorded(tmp_path: Path) -> None:
    """As those of any other model."""
    source = tiny_static.write(tmp_path / "tiny")
    assert ordered(source, tmp_path / "plain", pooling="mean").overrides == {}
    manifest = ordered(source, tmp_path / "model", normalize=True, max_length=5)
    assert (manifest.overrides, manifest.max_length) == ({"normalize": True, "max_length": 5}, 5)


@pytest.mark.parametrize(
    ("truncation", "expected"), [({"max_length": 7}, 7), (None, LONGEST), ({"max_length": 20, "direction": "left"}, None)]
)
def test_the_limit_is_that_of_tokenizer_json(truncation: dict[str, Any] | None, expected: int | None, tmp_path: Path) -> None:
    """The library has no other. A model without a limit gets one. Truncation on the left is refused, as for every model."""
    source = tiny_static.write(tmp_path / "tiny")
    tokenizer = tiny_bert.tokenizer()
    tokenizer.no_truncation()
    if truncation:
        tokenizer.enable_truncation(**truncation)
    tokenizer.save(str(source / "tokenizer.json"))
    if expected is None:
        assert "truncation is from the left" in refused(source, tmp_path / "model")
    else:
        assert make(source, tmp_path / "model").max_length == expected


def test_vectors_keep_the_dimensions_that_the_configuration_names(tmp_path: Path) -> None:
    """The rows are stored with as many numbers. int8 vectors have ranges for the dimensions in the card."""
    source = tiny_static.write(tmp_path / "tiny", config_sentence_transformers={"truncate_dim": 12, "similarity_fn_name": "dot"})
    (source / "README.md").write_text('---\nlicense: mit\n---\n```json\n{"matryoshka_dims": [12, 8, 4]}\n```\n')
    manifest = make(source, tmp_path / "model")
    assert (manifest.dimension, manifest.similarity, manifest.license) == (12, "dot", "mit")
    assert manifest.ranges.keys() == {"4", "8", "12"}
    assert np.array_equal(np.load(tmp_path / "model" / TABLE), tiny_static.rows()[:, :12])


def test_a_prompt_is_put_before_the_text(tmp_path: Path) -> None:
    """Its tokens are part of the mean."""
    prompts = {"prompts": {"query": "q: "}, "default_prompt_name": "query"}
    make(tiny_static.write(tmp_path / "tiny", config_sentence_transformers=prompts), tmp_path / "model")
    service = serve(tmp_path / "model")
    default, named, plain = (
        service.embed([text], Options(prompt_name=name)).vectors.tobytes()
        for text, name in (("a", None), ("a", "query"), ("q: a", ""))
    )
    assert default == named == plain


# --- Folders of Model2Vec ---------------------------------------------------------------------------------

CONFIG = {"model_type": "model2vec", "normalize": True, "hidden_dim": tiny_static.DIMENSION, "apply_zipf": True}


def model2vec(folder: Path, **config: Any) -> Path:  # noqa: ANN401 - fields of config.json
    """Write a folder of Model2Vec without modules.json."""
    source = tiny_static.write(folder, tensors={"embeddings": tiny_static.rows()}, config=CONFIG | config)
    (source / "modules.json").unlink()
    return source


@pytest.mark.parametrize(("config", "limit"), [({}, MODEL2VEC_TOKENS), ({"max_length": 9}, 9), ({"max_length": None}, LONGEST)])
def test_a_folder_without_a_list_of_modules_has_model2vec_s_own_limit(config: dict[str, Any], limit: int, tmp_path: Path) -> None:
    """Its limit and its normalization are in config.json."""
    manifest = make(model2vec(tmp_path / "tiny", **config), tmp_path / "model")
    assert (manifest.architecture, manifest.max_length) == ("model2vec", limit)


def test_an_unknown_field_of_its_configuration_is_refused(tmp_path: Path) -> None:
    """It could change a vector."""
    assert "config.json says window is 5; this builder does not know" in refused(
        model2vec(tmp_path / "a", window=5), tmp_path / "m"
    )


def test_a_folder_with_a_list_of_modules_needs_no_configuration(tmp_path: Path) -> None:
    """Like the library, the builder then reads nothing else from config.json than the name of the format."""
    source = tiny_static.write(tmp_path / "tiny", tensors={"embeddings": tiny_static.rows()}, config=CONFIG | {"window": 5})
    manifest = make(source, tmp_path / "model")
    assert (manifest.architecture, manifest.max_length) == ("model2vec", tiny_static.LIMIT)


# --- Previews and downloads -------------------------------------------------------------------------------


def test_a_preview_reads_no_weights(tmp_path: Path) -> None:
    """It says how the model would be made."""
    source = tiny_static.write(tmp_path / "tiny")
    (source / "model.safetensors").write_bytes(b"")
    assert Preview.read(source) == Preview("static", "its table of vectors", None)


@pytest.mark.parametrize("place", ["", "0_StaticEmbedding"])
def test_only_the_table_and_the_tokenizer_come_from_the_hub(place: str, tmp_path: Path) -> None:
    """Repositories of Model2Vec have an ONNX file as well."""
    model = tiny_static.write(tmp_path / "hub/tiny", "Normalize")
    (model / "pytorch_model.bin").write_bytes(bytes(1000))
    if place:
        (model / place).mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (model / name).rename(model / place / name)
        folders.write(model, {"modules.json": [{"path": place, "type": "sentence_transformers.models.StaticEmbedding"}]})
    (model / "onnx").mkdir()
    (model / "onnx/model.onnx").write_bytes(bytes(1000))
    with hub.serving("org/tiny", model) as served:
        out = built("org/tiny", tmp_path / "model", "--precision", "fp32", HF_ENDPOINT=served.url)
        fetched = {name for name, _ in served.served}
    assert not fetched & {"onnx/model.onnx", "pytorch_model.bin"}
    assert {str(Path(place, name)) for name in ("model.safetensors", "tokenizer.json")} <= fetched
    assert Manifest.read(out).fingerprint == make(model, tmp_path / "same").fingerprint


def test_a_table_in_several_files_is_read(tmp_path: Path) -> None:
    """An index says which file has which tensor."""
    source = tiny_static.write(tmp_path / "tiny")
    table = {"embeddings": tensor("embeddings", (9, 8))}, {"mapping": places("mapping", tiny_static.TOKENS, 9)}
    (source / "model.safetensors").unlink()
    for number, tensors in enumerate(table):
        safetensors.numpy.save_file(tensors, source / f"model-{number}.safetensors")
    index = {"weight_map": {"embeddings": "model-0.safetensors", "mapping": "model-1.safetensors"}}
    folders.write(source, {"model.safetensors.index.json": index})
    make(source, tmp_path / "model")
    assert np.array_equal(np.load(tmp_path / "model" / TABLE), table[0]["embeddings"][table[1]["mapping"]])
