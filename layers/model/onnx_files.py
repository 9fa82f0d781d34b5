"""Find and read a model's own ONNX file, its tensors, and the files in which it keeps them.

A graph is read without the contents of these files. They are memory-mapped when a tensor is needed, because they may be larger than
the 2 GB limit of protobuf, and too large to be in memory twice.
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
"""The places where Sentence Transformers and optimum save an ONNX file, the best first.

Files with a level are optimized for ONNX Runtime. From level 3 on, they have an approximated activation.
"""

type Part = onnx.GraphProto | onnx.FunctionProto


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The ONNX file that replaces a model's weights: its path in the Transformer module's folder.

    If the file is in another repository, the path is in `folder`, and `origin` is the name of that repository with its revision.
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
        Unsupported: it is not an ONNX file.
    """
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # noqa: BLE001 - protobuf's and onnx's exceptions share no other base
        msg = f"{path.name} in {path.parent} cannot be read: {str(error).splitlines()[0]}"
        raise Unsupported(msg) from None


def locations(model: onnx.ModelProto) -> list[str]:
    """Return the paths of the files in which the graph keeps tensors, relative to the graph's folder, each once."""
    tensors = (tensor for part in parts(model) for tensor in tensors_of(part))
    found = (_entries(tensor).get("location", "") for tensor in tensors if _is_external(tensor))
    return list(dict.fromkeys(found))


def check_locations(model: onnx.ModelProto, path: Path) -> None:
    """Check that each file in which the graph keeps tensors is a regular file in the graph's folder or below it.

    Raises:
        Unsupported: a file is missing, or in another place.
    """
    for location in locations(model):
        regular(path.parent, location)


def array(tensor: TensorProto, folder: Path) -> NDArray[np.generic]:
    """Return a tensor as an array. If it is in a file in `folder`, the array is memory-mapped.

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
    """Return a tensor that contains its numbers, read from a file in `folder` if need be."""
    if _is_external(tensor):
        load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    return tensor


def parts(model: onnx.ModelProto) -> Iterator[Part]:
    """Yield the graph, its functions, and all graphs inside their operators."""
    left: list[Part] = [model.graph, *model.functions]
    while left:
        part = left.pop()
        yield part
        left += [attribute.g for node in part.node for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]
        left += [graph for node in part.node for attribute in node.attribute for graph in attribute.graphs]


def tensors_of(part: Part) -> Iterator[TensorProto]:
    """Yield the tensors of a graph or a function: its constants, and the attributes of its operators."""
    if isinstance(part, onnx.GraphProto):
        yield from part.initializer
    yield from attribute_tensors(part)


def attribute_tensors(part: Part) -> Iterator[TensorProto]:
    """Yield the tensors that are attributes of operators."""
    for node in part.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors


def _is_external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def _entries(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}
