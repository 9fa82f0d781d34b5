"""The table of precisions is total: every row has its counterparts in the builder and in the handler."""

from pathlib import Path
from typing import get_args

import pytest

from handler.cache.codec import CODECS
from handler.embedding.manifest import CodecName, Loading, Manifest
from layers.model.builder import Order, build
from layers.model.networks import WRITERS, Export, Written
from layers.model.precision import PRECISIONS
from layers.model.sources import Source
from tests.conftest import FP32, INT8
from tests.layers.model import references

ROOT = Path(__file__).resolve().parents[3]
PLAIN = Loading()
UNSIGNED = Loading("extended", {"session.x64quantprecision": "1"})


def test_every_precision_can_be_written_from_a_model_s_weights() -> None:
    """A model's own ONNX file can be made into some of them only."""
    assert WRITERS.keys() == PRECISIONS.keys() == Written.bounds.keys()
    assert Export.bounds.keys() <= PRECISIONS.keys()


def test_every_codec_that_a_manifest_can_name_is_one_of_the_cache_s_and_is_used() -> None:
    """A manifest with another name is refused when it is read."""
    assert set(get_args(CodecName)) == CODECS.keys() == {traits.codec for traits in PRECISIONS.values()}


def test_no_module_of_the_handler_that_loads_a_model_names_a_precision() -> None:
    """The manifest says how a model is loaded, so that a new precision changes nothing in the handler."""
    modules = [*(ROOT / "handler/embedding").glob("*.py"), *(ROOT / "handler/cache").glob("*.py"), ROOT / "handler/bootstrap.py"]
    assert len(modules) > 10
    assert not [(path.name, name) for path in modules for name in PRECISIONS if f'"{name}"' in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("name", "precision", "codec", "operators", "loadings"),
    [
        ("bert", "int8", "scaled16", True, (PLAIN, PLAIN)),
        ("dense", "int8", "scaled16", True, (PLAIN, UNSIGNED)),
        ("albert-onnx", "int8", "scaled16", False, (PLAIN, UNSIGNED)),
        ("bert", "int4", "scaled16", False, (PLAIN, PLAIN)),
        ("bert", "fp16", "scaled16", False, (Loading("basic"), Loading("basic"))),
        ("bert", "fp32", "exact32", False, (PLAIN, PLAIN)),
    ],
)
def test_the_manifest_says_how_the_model_is_loaded(
    name: str, precision: str, codec: str, loadings: tuple[Loading, Loading], tmp_path: Path, *, operators: bool
) -> None:
    """The operators are registered if the graph has one of them; weights become unsigned where ONNX Runtime's kernels saturate."""
    source = Source(references.write(name, tmp_path / "source"), name, "1")
    build(Order(source, tmp_path / "model", precision, (-1, -1), threads=1, passages=12), lambda _: None)
    manifest = Manifest.read(tmp_path / "model")
    assert (manifest.codec, manifest.operators) == (codec, operators)
    assert (manifest.loading, manifest.loading_where_bytes_saturate) == loadings


def test_the_default_models_are_loaded_as_they_are_written() -> None:
    """Optimizing a graph at load would take a third of a cold start."""
    for folder in (INT8, FP32):
        manifest = Manifest.read(folder)
        assert (manifest.loading, manifest.loading_where_bytes_saturate) == (PLAIN, PLAIN)
