"""A model's own ONNX file: what it may be called, its tensors, and the files that it keeps them in.

A graph is read without those files' contents, which are mapped when an array is made of them: they may have more than the 2 GB
that a message may, and more than fits in memory twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor

from layers.model.configuration import Unsupported, exists, inside, regular, shown

NAMES = ("onnx/model.onnx", "model.onnx", *(f"onnx/model_O{level}.onnx" for level in (1, 2, 3, 4)))
"""Where Sentence Transformers and optimum put a model's own file, the best first.

Those with a level are optimized for ONNX Runtime, from the third level with an approximated activation.
"""
LARGEST_GRAPH = 2_147_483_647
"""The most bytes of a graph without the files it names: protobuf's own limit."""

type Part = onnx.GraphProto | onnx.FunctionProto


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The file that was asked for instead of a model's weights: its path in the model's Transformer folder.

    Or in `folder`, where another repository's files are; `origin` is what that is called, with its revision.
    """

    name: str
    folder: Path | None = None
    origin: str = ""


def present(folder: Path) -> str | None:
    """Return the name of the best ONNX file in a Transformer's folder; None if there is none."""
    return next((name for name in NAMES if exists(folder, name)), None)


def read(path: Path) -> onnx.ModelProto:
    """Read a graph, without the contents of the files that it names.

    Raises:
        Unsupported: it is no ONNX file.
    """
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # noqa: BLE001 - protobuf's and onnx's exceptions share no other base
        msg = f"{path.name} in {path.parent} cannot be read: {str(error).splitlines()[0]}"
        raise Unsupported(msg) from None


def locations(model: onnx.ModelProto) -> list[str]:
    """Return the names of the files in which the graph keeps tensors, each once, as the graph has them."""
    tensors = (tensor for part in parts(model) for tensor in tensors_of(part))
    found = (_entries(tensor).get("location", "") for tensor in tensors if _is_external(tensor))
    return list(dict.fromkeys(found))


def check_locations(model: onnx.ModelProto, path: Path) -> None:
    """Check that each file that the graph keeps tensors in is a regular one next to it or below.

    Raises:
        Unsupported: one is missing, or elsewhere.
    """
    for location in locations(model):
        regular(path.parent, location)


def array(tensor: TensorProto, folder: Path) -> NDArray[np.generic]:
    """Return a tensor as an array, mapped where it is in a file in `folder`.

    Raises:
        Unsupported: the file is too short for it.
    """
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if not _is_external(tensor) or dtype.itemsize * np.prod(tensor.dims) == 0:
        return numpy_helper.to_array(tensor, str(folder))
    entries = _entries(tensor)
    path = inside(folder, entries.get("location", ""))
    try:
        return np.memmap(path, dtype, "r", int(entries.get("offset", 0)), tuple(tensor.dims))
    except (ValueError, OSError) as error:
        msg = f"{path.name} in {path.parent} does not hold the tensor {shown(tensor.name)}: {error}"
        raise Unsupported(msg) from None


def filled(tensor: TensorProto, folder: Path) -> TensorProto:
    """Return a tensor with its content in itself, whatever file in `folder` it was in."""
    if _is_external(tensor):
        load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    return tensor


def parts(model: onnx.ModelProto) -> Iterator[Part]:
    """Yield the graph, the functions, and all graphs within their operators."""
    left: list[Part] = [model.graph, *model.functions]
    while left:
        part = left.pop()
        yield part
        left += [attribute.g for node in part.node for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]
        left += [graph for node in part.node for attribute in node.attribute for graph in attribute.graphs]


def tensors_of(part: Part) -> Iterator[TensorProto]:
    """Yield the tensors of a graph or a function: constants, and those that its operators have as attributes."""
    if isinstance(part, onnx.GraphProto):
        yield from part.initializer
    yield from attribute_tensors(part)


def attribute_tensors(part: Part) -> Iterator[TensorProto]:
    """Yield the tensors that operators have as attributes."""
    for node in part.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors


def _is_external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def _entries(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}
