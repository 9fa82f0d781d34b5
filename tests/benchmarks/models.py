"""The measured models: ours as built, stock ones made from the same weights, and a check that they are the same model."""

import os
from functools import cache
from pathlib import Path

import onnx

from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization
from layers.model import networks, packages
from layers.model.corpus import passages
from layers.model.fidelity import Fidelity
from layers.model.specification import Specification

from . import stock
from .padded import PaddedEncoder

INT8, FP32 = Path("build", "model"), Path("build", "model-fp32")
SOURCES = Path("build", "sources")
SAME_MODEL = 0.9999
"""The least cosine between two float32 graphs of the same weights; the order of additions alone makes them differ."""


def ours(folder: Path, threads: int) -> Encoder:
    """Load a model folder as the handler does; the setting KERNELS chooses the kernels."""
    return Encoder(folder, Manifest.read(folder), threads, os.environ.get("KERNELS", ""))


def tokenization(folder: Path = INT8) -> Tokenization:
    """Load a model folder's tokenizer as the handler does."""
    return Tokenization(folder, Manifest.read(folder).max_length)


def default() -> networks.Written:
    """Read the default model's weights."""
    network = networks.read(Specification.read(packages.pinned(packages.DEFAULT, SOURCES, print)))
    assert isinstance(network, networks.Written)
    return network


def stock_int8(threads: int) -> PaddedEncoder:
    """Make the baseline."""
    return PaddedEncoder(_stock_int8(), threads)


def stock_int8_file() -> Path:
    """Write the baseline's graph into a file."""
    path = Path("build", "benchmarks", "stock-int8.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_stock_int8(), path)
    return path


def fidelities(count: int) -> dict[str, Fidelity]:
    """Compare stock fp32, ours and stock int8 with our float32 build, each passage alone."""
    sequences = [tokens.ids for tokens in tokenization().tokenize(passages("scoring", count), "right")]
    reference = ours(FP32, 1).encode(sequences)
    exact, quantized = PaddedEncoder(_stock_fp32(), 1), stock_int8(1)
    found = {
        "stock fp32": Fidelity.of(exact.encode_each(sequences), reference),
        "ours int8": Fidelity.of(ours(INT8, 1).encode(sequences), reference),
        "stock int8": Fidelity.of(quantized.encode_each(sequences), reference),
    }
    assert found["stock fp32"].minimum_cosine >= SAME_MODEL, f"the stock graph is not the same model: {found['stock fp32']}"
    return found


@cache
def _stock_fp32() -> onnx.ModelProto:
    network = default()
    return stock.fp32(network.shape, network.tensors)


@cache
def _stock_int8() -> onnx.ModelProto:
    return stock.int8(_stock_fp32())
