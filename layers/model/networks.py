"""Write a model's graph in any precision: from its weights if the family is known, or else from its own ONNX file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from handler.embedding.manifest import GRAPH, WEIGHTS
from handler.vectors import TokenIds
from layers.model import exported, weights
from layers.model.architectures import Shape
from layers.model.calibration import largest_activations, moments
from layers.model.configuration import Unsupported
from layers.model.encoder import Encoder
from layers.model.graph import Graph
from layers.model.head import Head, Layer
from layers.model.int4 import Int4
from layers.model.int8 import Int8
from layers.model.module_types import Module
from layers.model.precision import PRECISIONS, Array, Bounds, Float16, Float32, Precision
from layers.model.specification import Specification

EXACT = Float32.name


class Network(Protocol):
    """Writes a model's graph. `bounds` has its possible precisions, and the cosines that each must reach."""

    bounds: ClassVar[Mapping[str, Bounds]]
    made_from: ClassVar[str]

    def write(self, folder: Path, precision: str, calibration: Callable[[], Sequence[TokenIds]]) -> None:
        """Write the graph and the weights into `folder`. `calibration` returns passages; some precisions need them."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """A network of a known family, which is written from its weights."""

    bounds: ClassVar[Mapping[str, Bounds]] = {name: traits.written for name, traits in PRECISIONS.items()}
    made_from: ClassVar[str] = "its weights"

    specification: Specification
    shape: Shape
    tensors: Mapping[str, Array]
    head: Head

    def write(self, folder: Path, precision: str, calibration: Callable[[], Sequence[TokenIds]]) -> None:
        """Write the graph with the weights in `precision`."""
        self.graph(WRITERS[precision](self, calibration)).write(folder / GRAPH, WEIGHTS)

    def graph(self, precision: Precision) -> Graph:
        """Return the graph in `precision`."""
        graph = Graph()
        texts = precision.texts if self.head.takes_several else 1
        states = Encoder(graph, texts, self.shape, self.specification.max_length, self.tensors, precision).write()
        self.head.write(graph, states, precision)
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


def read(specification: Specification) -> Network:
    """Return the network of a model's folder. Its weights are read and checked.

    Raises:
        Unsupported: the weights are missing or damaged, or do not fit the configuration.
    """
    modules, network = specification.modules, specification.network
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
    """Return the class of network that the model has."""
    return Written if isinstance(specification.network, Shape) else Export


def check(network: Network, precision: str) -> None:
    """Check that the network can be written in `precision`.

    Raises:
        Unsupported: that is impossible.
    """
    if precision not in network.bounds:
        possible = " or ".join(name for name in PRECISIONS if name in network.bounds)
        msg = f"a model made from {network.made_from} can be {possible}, not {precision}, which is written from a model's weights"
        raise Unsupported(msg)
