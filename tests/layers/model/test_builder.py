"""The builder builds models and refuses others, by its command line, `python -m layers.model`, and in this process."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.embedding.manifest import MANIFEST, WEIGHTS, Manifest, sha256
from handler.service import Options
from layers.model.fidelity import Fidelity
from layers.model.modules import POOLING_MODES
from tests.conftest import ROOT, Client, ClientOf, serve
from tests.layers.model import tiny_bert
from tests.layers.model.commands import build, built, made, make, refusal, refused
from tests.layers.model.poolings import POOLINGS

FLAGS = {mode: flag for mode, flag in POOLING_MODES.items() if flag}


@pytest.mark.parametrize("modes", [*([mode] for mode in FLAGS), ["cls", "max", "mean"], list(FLAGS)], ids="+".join)
def test_the_fp32_graph_is_bert_as_it_is_defined(modes: list[str], tmp_path: Path) -> None:
    """Compared with plain numpy, for each pooling mode and for several concatenated."""
    flags = {"pooling_mode_mean_tokens": None} | {FLAGS[mode]: True for mode in modes}
    folder = made(tiny_bert.write(tmp_path / "tiny", pooling=flags), tmp_path / "model")
    encoding = tiny_bert.tokenizer()
    encoding.no_padding()
    encoding.no_truncation()
    service = serve(folder)
    for text in ("abc def", "a", "some words, and more of them.", "z" * 50):
        tokens = tiny_bert.token_vectors(encoding.encode(text).ids)
        expected = np.concatenate([POOLINGS[mode](tokens) for mode in modes])
        np.testing.assert_allclose(service.embed([text], Options(normalize=False)).vectors[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", ["cls", "mean"]])
def test_the_pooling_is_read_from_newer_configuration_files_too(pooling: object, tmp_path: Path) -> None:
    """`pooling_mode` is a name or a list of them since Sentence Transformers 5.4."""
    model = tiny_bert.write(tmp_path / "tiny", pooling={"pooling_mode_mean_tokens": None, "pooling_mode": pooling})
    manifest = Manifest.read(made(model, tmp_path / "model"))
    assert manifest.pooling == ("cls" if pooling == "cls" else "cls+mean")
    assert manifest.dimension == tiny_bert.HIDDEN * len(manifest.pooling.split("+"))


def test_two_builds_of_the_same_sources_are_the_same_bytes(tmp_path: Path) -> None:
    """The manifest is the same, too."""
    model = tiny_bert.write(tmp_path / "tiny")
    one, two = (built(model, tmp_path / name, MIN_COSINE="0") for name in ("one", "two"))
    names = sorted(path.name for path in one.iterdir())
    assert names == ["manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json"]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_the_manifest_describes_the_model_and_its_fidelity(tmp_path: Path) -> None:
    """It has the licence, limits, prompts, hashes of sources and files, cosines, and the bounds of these."""
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query", "similarity_fn_name": "dot"}
    model = tiny_bert.write(tmp_path / "tiny", config_sentence_transformers=prompts)
    manifest = Manifest.read(built(model, tmp_path / "model", MIN_COSINE="0.9,0.5"))
    assert (manifest.model_id, manifest.license, manifest.architecture) == ("tiny", "mit", "bert")
    assert (manifest.dimension, manifest.max_length, manifest.pooling) == (tiny_bert.HIDDEN, 64, "mean")
    assert (manifest.prompts, manifest.default_prompt_name, manifest.similarity) == ({"query": "query: "}, "query", "dot")
    assert manifest.files.keys() == {"model.onnx", "model.onnx.data", "tokenizer.json"}
    assert {"model.safetensors", "config.json", "1_Pooling/config.json"} <= manifest.sources.keys()
    assert manifest.fidelity["bounds"] == [0.9, 0.5]
    assert 0.9 < manifest.fidelity["mean_cosine"] < 1
    assert manifest.fidelity["minimum_cosine"] < manifest.fidelity["mean_cosine"]
    assert 0 < manifest.fidelity["top_10_agreement"] <= 1


def test_licence_and_measurements_are_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    """It changes with the vectors alone."""
    folder = made(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model")
    manifest = Manifest.read(folder)

    def fingerprint(**changes: Any) -> str:  # noqa: ANN401 - fields of a manifest
        return replace(manifest, **changes).fingerprint

    assert fingerprint(license="other", fidelity={}, model_id="other", revision="1") == fingerprint()
    assert fingerprint(pooling="cls") != fingerprint()
    assert len({fingerprint(), fingerprint(files={}), fingerprint(dimension=1)}) == 3


def test_the_builder_prints_its_measurements(tmp_path: Path) -> None:
    """Mean and minimum cosine, and how many of the ten nearest stay the same."""
    printed = build(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", MIN_COSINE="0").stdout
    for part in ("mean 0.9", "minimum 0.", "top-10 agreement 0.", "fingerprint "):
        assert part in printed


@pytest.fixture
def prompted(tmp_path: Path, client_of: ClientOf) -> Client:
    """A client of a model with two prompts, one of them its default."""
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "passage"}
    model = tiny_bert.write(tmp_path / "tiny", config_sentence_transformers=prompts)
    return client_of(made(model, tmp_path / "model"))


def test_a_prompt_is_put_before_the_text_by_its_name(prompted: Client, tmp_path: Path, client_of: ClientOf) -> None:
    """The model's default where the request names none."""
    plain = client_of(made(tmp_path / "tiny", tmp_path / "plain"))
    assert prompted.get("/info").json["prompts"] == {"query": "query: ", "passage": "passage: "}
    default, query = prompted.post({"inputs": "words"}), prompted.post({"inputs": "words", "prompt_name": "query"})
    assert default.body == prompted.post({"inputs": "words", "prompt_name": "passage"}).body
    assert default.body != query.body
    assert plain.post({"inputs": "query: words", "prompt_name": "query"}).status == 200


def test_an_unknown_prompt_is_refused_with_the_known_ones(prompted: Client) -> None:
    """422, as contract says."""
    reply = prompted.post({"inputs": "words", "prompt_name": "document"})
    assert (reply.status, reply.json["error"]) == (
        422,
        "`prompt_name` is not one of this model's prompts: `query`, `passage`. Given: 'document'",
    )


def test_texts_are_lower_cased_where_the_model_says_so(tmp_path: Path) -> None:
    """`do_lower_case` of sentence_bert_config.json, which Sentence Transformers applies itself."""
    model = tiny_bert.write(tmp_path / "tiny", sentence_bert_config={"do_lower_case": True})
    service = serve(made(model, tmp_path / "model"))
    upper, lower = service.embed(["ABC", "abc"], Options()).vectors
    assert np.array_equal(upper, lower)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 64),
        ({"sentence_bert_config": {"max_seq_length": None}}, 80),
        ({"sentence_bert_config": {"max_seq_length": None}, "tokenizer_config": {"model_max_length": 1e30}}, tiny_bert.POSITIONS),
        ({"sentence_bert_config": {"max_seq_length": 4096}}, tiny_bert.POSITIONS),
    ],
)
def test_the_limit_is_the_first_that_is_given_and_never_beyond_the_positions(
    changes: dict[str, Any], expected: int, tmp_path: Path
) -> None:
    """sentence_bert_config, then tokenizer_config, then the positions there are."""
    folder = made(tiny_bert.write(tmp_path / "tiny", **changes), tmp_path / "model")
    assert Manifest.read(folder).max_length == expected


def test_a_model_below_its_bounds_is_not_written(tmp_path: Path) -> None:
    """Unless MIN_COSINE accepts it."""
    model = tiny_bert.write(tmp_path / "tiny")
    sentence = refusal(model, tmp_path / "model", MIN_COSINE="0.999999")
    assert sentence.startswith("tiny as int8 is not faithful enough: mean cosine 0.9")
    assert "(at least 0.999999)" in sentence


def test_a_model_just_below_its_bounds_is_refused_with_figures_that_show_it() -> None:
    """Five digits would round them up to 1."""
    assert "minimum 0.999998 (at least 0.999999)" in Fidelity(1000, 1.0, 0.999998, 1.0).shortfall((0.999999, 0.999999))


def test_a_wrong_minimum_is_refused(tmp_path: Path) -> None:
    """MIN_COSINE is one cosine or two."""
    assert "it is 'high'" in refusal(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model", MIN_COSINE="high")


def test_a_folder_with_other_things_in_it_is_never_replaced(tmp_path: Path) -> None:
    """A model folder is, as a whole."""
    model, out = tiny_bert.write(tmp_path / "tiny"), tmp_path / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("years")
    assert "exists and is no model folder" in refused(model, out)
    assert (out / "thesis.txt").read_text() == "years"
    shutil.rmtree(out)
    made(model, out)
    before = (out / "manifest.json").stat().st_ino
    made(model, out)
    assert (out / "manifest.json").stat().st_ino != before
    (out / "thesis.txt").write_text("years")
    assert "exists and is no model folder" in refused(model, out)
    assert (out / "thesis.txt").read_text() == "years"


def test_a_vector_that_is_not_finite_never_reaches_a_caller(tmp_path: Path, client_of: ClientOf) -> None:
    """424: neither NaN nor null is a number to any client."""
    folder = made(tiny_bert.write(tmp_path / "tiny"), tmp_path / "model")
    row = tiny_bert.weights()["embeddings.word_embeddings.weight"][tiny_bert.VOCABULARY.index(tiny_bert.RARE)]
    weights = (folder / WEIGHTS).read_bytes()
    assert weights.count(row.tobytes()) == 1
    (folder / WEIGHTS).write_bytes(weights.replace(row.tobytes(), np.full_like(row, np.nan).tobytes()))
    manifest = Manifest.parse((folder / MANIFEST).read_bytes(), folder)
    replace(manifest, files=manifest.files | {WEIGHTS: sha256(folder, WEIGHTS)}).write(folder)
    client = client_of(folder)
    assert client.post({"inputs": ["a", "b"]}).status == 200
    reply = client.post({"inputs": ["a", tiny_bert.RARE]})
    assert (reply.status, reply.json) == (
        424,
        {"error": "The model gave a vector that is not finite for 1 of the inputs", "error_type": "Backend"},
    )


def test_the_default_model_is_the_hub_s_own_and_close_to_its_fp32_self() -> None:
    """Its manifest names the revision and the licence, and its measurements keep the bounds."""
    manifest = Manifest.read(ROOT / "build/model")
    assert manifest.sources["model.safetensors"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (manifest.license, manifest.revision) == ("apache-2.0", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41")
    assert manifest.fidelity["mean_cosine"] >= 0.998
    assert manifest.fidelity["minimum_cosine"] >= 0.99


@pytest.mark.parametrize("precision", ["int8", "int4", "fp16"])
@pytest.mark.parametrize("activation", ["relu", "silu", "tanh", "gelu_new"])
def test_every_activation_is_written_in_every_precision(activation: str, precision: str, tmp_path: Path) -> None:
    """Relu has one result on every processor, so an int8 model with it stays portable; the others are sums of floats."""
    model = tiny_bert.write(tmp_path / "tiny", config={"hidden_act": activation})
    bounds = (0.97, 0.9) if precision == "int8" else (0.9, 0.7)
    manifest = make(model, tmp_path / "model", precision, bounds)
    assert manifest.fidelity["mean_cosine"] > bounds[0]
    assert manifest.portable == (precision == "int8" and activation == "relu")
