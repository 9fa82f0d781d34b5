"""The manifest says which models are portable: their vectors have the same bits on every kind of CPU."""

from pathlib import Path

import pytest

from handler.config import KERNELS
from handler.service import Options, Service
from handler.unloaded_service import UnloadedService
from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.conftest import serve
from tests.layers.model import references

PORTABLE = ["bert", "distilbert", "mpnet", "roberta", "xlm-roberta", "camembert", *references.FAMILIES]
"""A reference model of every family that is written from its weights. Gemma's has two Dense modules without a function."""
PLAIN = ["pooling-cls", "pooling-max", "pooling-lasttoken"]
SUMMED = ["pooling-weightedmean", "pooling-mean_sqrt_len_tokens", "pooling-all", "without-prompt"]
"""Reference models whose pooling ONNX Runtime computes: it sums floats in an order that depends on the CPU."""


@pytest.mark.parametrize(
    ("name", "precision", "portable"),
    [
        *((name, "int8", True) for name in PORTABLE + PLAIN),
        *((name, "int8", False) for name in [*SUMMED, "dense", "without-prompt-dense", "albert-onnx", "llama-onnx"]),
        *(("bert", precision, False) for precision in ("fp32", "fp16", "int4")),
    ],
)
def test_a_model_is_portable_if_nothing_of_it_is_summed_in_a_cpu_s_own_order(
    name: str, precision: str, tmp_path: Path, *, portable: bool
) -> None:
    """Int8 models of known families with simple pooling are portable. Those with a function of ONNX Runtime's are not."""
    source = Source(references.write(name, tmp_path / "source"), name, "1")
    manifest = build(Order(source, tmp_path / "model", precision, (-1, -1), threads=1, passages=12), lambda _: None)
    assert manifest.portable == portable


@pytest.mark.parametrize("name", references.FAMILIES)
def test_a_family_has_the_same_bits_with_every_set_of_kernels(name: str, tmp_path: Path) -> None:
    """Those that this processor can run. `make without-vnni` and `make arm64` compare emulated processors."""
    source = Source(references.write(name, tmp_path / "source"), name, "1")
    build(Order(source, tmp_path / "model", "int8", (-1, -1), threads=1, passages=12), lambda _: None)
    texts = [row["text"] for row in references.load(name)["rows"]]
    services = [service for service in (serve(tmp_path / "model", KERNELS=kernels) for kernels in KERNELS) if _is_loaded(service)]
    assert services
    vectors = [service.embed(texts, Options()).vectors.tobytes() for service in services]
    assert set(vectors) == {vectors[0]}


def _is_loaded(service: Service) -> bool:
    return not isinstance(service, UnloadedService)
