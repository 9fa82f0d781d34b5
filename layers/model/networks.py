"""Write a model in any precision: a graph from its weights if the family is known, or else from its own ONNX file, or a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from handler.embedding.manifest import GRAPH, SCALES, TABLE, WEIGHTS
from handler.vectors import TokenIds
from layers.model import exported, weights
from layers.model.architectures import Shape
from layers.model.calibration import largest_activations, moments
from layers.model.classifier import ClassifierHead
from layers.model.configuration import Unsupported
from layers.model.encoder import Encoder
from layers.model.graph import Graph
from layers.model.head import Head, Layer
from layers.model.int4 import Int4
from layers.model.int8 import Int8, symmetric
from layers.model.module_types import Module
from layers.model.needed_tokens import NeededTokens
from layers.model.precision import PRECISIONS, Array, Bounds, Float16, Float32, Precision
from layers.model.specification import Exported, Specification
from layers.model.static import Table

EXACT = Float32.name


class Network(Protocol):
    """Writes a model's graph or table. `bounds` has its possible precisions, and the cosines that each must reach."""

    bounds: ClassVar[Mapping[str, Bounds]]
    made_from: ClassVar[str]

    def write(self, folder: Path, precision: str, calibration: Callable[[], Sequence[TokenIds]]) -> None:
        """Write the model's files into `folder`. `calibration` returns passages; some precisions need them."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """A network of a known family, which is written from its weights."""

    bounds: ClassVar[Mapping[str, Bounds]] = {name: traits.written for name, traits in PRECISIONS.items()}
    made_from: ClassVar[str] = "its weights"

    specification: Specification
    shape: Shape
    tensors: Mapping[str, Array]
    head: Head | ClassifierHead

    def write(self, folder: Path, precision: str, calibration: Callable[[], Sequence[TokenIds]]) -> None:
        """Write the graph with the weights in `precision`."""
        self.graph(WRITERS[precision](self, calibration), self.head.needed).write(folder / GRAPH, WEIGHTS)

    def graph(self, precision: Precision, needed: NeededTokens | None = None) -> Graph:
        """Return the graph in `precision`; its last layer computes the `needed` tokens, or all."""
        graph, specification = Graph(), self.specification
        texts = precision.texts if self.head.takes_several else 1
        encoder = Encoder(
            graph, texts, self.shape, specification.max_length, self.tensors, precision, specification.has_types, needed
        )
        self.head.write(graph, encoder.write(), precision)
        return graph


type Calibration = Callable[[], Sequence[TokenIds]]

WRITERS: Mapping[str, Callable[[Written, Calibration], Precision]] = {
    Int8.name: lambda network, calibration: Int8(largest_activations(network.graph, calibration())),
    Int4.name: lambda network, calibration: Int4(moments(network.graph, calibration())),
    Float16.name: lambda _network, _calibration: Float16(),
    Float32.name: lambda _network, _calibration: Float32(),
}
"""Makes each precision of precision.PRECISIONS, for a network that is written from its weights."""


@dataclass(frozen=True, slots=True)
class Export:
    """A model's own ONNX file, whose head is replaced by ours."""

    bounds: ClassVar[Mapping[str, Bounds]] = {name: traits.exported for name, traits in PRECISIONS.items() if traits.exported}
    made_from: ClassVar[str] = "its own ONNX file"

    specification: Specification
    path: Path
    head: Head

    def write(self, folder: Path, precision: str, calibration: Callable[[], Sequence[TokenIds]]) -> None:
        """Write the graph unchanged, or quantized by ONNX Runtime."""
        del calibration
        exported.write(folder, self.path, self.specification, self.head, quantized=precision != EXACT)


@dataclass(frozen=True, slots=True)
class Static:
    """A static model's table, with a row for each token."""

    bounds: ClassVar[Mapping[str, Bounds]] = {name: PRECISIONS[name].written for name in (Int8.name, Float16.name, EXACT)}
    made_from: ClassVar[str] = "its table of vectors"

    rows: Array

    def write(self, folder: Path, precision: str, calibration: Callable[[], Sequence[TokenIds]]) -> None:
        """Write the rows in `precision`; int8 rows have a scale each."""
        del calibration
        if precision == Int8.name:
            quantized, scales = symmetric(self.rows, axis=1)
            np.save(folder / SCALES, scales.ravel())
            np.save(folder / TABLE, quantized)
        elif precision == Float16.name:
            with np.errstate(over="ignore"):  # a number too large for float16 becomes infinite: the model is refused
                np.save(folder / TABLE, self.rows.astype(np.float16))
        else:
            np.save(folder / TABLE, self.rows)


def read(specification: Specification) -> Network:
    """Return the network of a model's folder. Its weights are read and checked.

    Raises:
        Unsupported: the weights are missing or damaged, or do not fit the configuration.
    """
    modules, network = specification.modules, specification.network
    if isinstance(network, Table):
        return Static(network.rows(specification.dimension))
    if specification.cross_encoder and isinstance(network, Shape):
        classifier = specification.cross_encoder.classifier
        row, shapes = network.architecture, network.tensors() | classifier.tensors(network.hidden)
        others = row.others(network.layers) if row.exact else None
        tensors = weights.read(specification.transformer, shapes, row.prefix, others)
        return Written(specification, network, tensors, ClassifierHead(classifier, tensors, network.epsilon))
    before, after = (
        [Layer(module, _tensors(specification.folder / module.folder, module)) for module in steps]
        for steps in (modules.before, modules.after)
    )
    head = Head(before, modules.pooling, after, specification.dimension)
    if isinstance(network, Shape):
        row = network.architecture
        others = row.others(network.layers) if row.exact else None
        tensors = weights.read(specification.transformer, network.tensors(), row.prefix, others)
        return Written(specification, network, tensors, head)
    return Export(specification, network.path, head)


def _tensors(folder: Path, module: Module) -> Mapping[str, Array]:
    return weights.read(folder, module.tensors()) if module.tensors() else {}


def check_files(specification: Specification) -> None:
    """Check that the files exist that `read` needs.

    Raises:
        Unsupported: a file is missing.
    """
    for module in specification.modules.around_pooling:
        if module.tensors():
            weights.check_files(specification.folder / module.folder)
    if isinstance(specification.network, Shape):
        weights.check_files(specification.transformer)


def kind(specification: Specification) -> type[Written] | type[Export]:
    """Return the class of network that the model has. It has no table (preview.py)."""
    return Export if isinstance(specification.network, Exported) else Written


def check(network: Network, precision: str) -> None:
    """Check that the network can be written in `precision`.

    Raises:
        Unsupported: that is impossible.
    """
    if precision not in network.bounds:
        possible = " or ".join(name for name in PRECISIONS if name in network.bounds)
        msg = f"a model made from {network.made_from} can be {possible}, not {precision}"
        raise Unsupported(msg)
