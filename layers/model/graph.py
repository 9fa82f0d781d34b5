"""Write ONNX graphs: each method adds an operator and returns the name of its result."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from layers.model import onnx_files
from layers.runtime import operators

OPSET = 23  # the first with Attention
CONTRIB = "com.microsoft"  # the domain of ONNX Runtime's own operators
ENCODER = operators.DOMAIN
OWN_OPSET = 1  # the version of both domains

type Attribute = Any
"""An int, a float or a list of ints. onnx declares its keyword arguments differently."""


class Graph:
    """An ONNX graph that is being written. Each method that adds a value returns its name."""

    def __init__(self) -> None:
        """Start an empty graph."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[np.generic]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._opsets = {"": OPSET, CONTRIB: OWN_OPSET, ENCODER: OWN_OPSET}

    def adopt(self, model: onnx.ModelProto, folder: Path) -> None:
        """Add another graph's operators, constants and operator sets, but not its inputs and outputs.

        Its constants may be in files in `folder`. `write` reads these files, so they must exist until then.
        """
        self._nodes += model.graph.node
        self._constants |= {tensor.name: onnx_files.array(tensor, folder) for tensor in model.graph.initializer}
        self._opsets |= {opset.domain: opset.version for opset in model.opset_import}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a graph that `write` wrote to `path`, with its constants, so that it can be changed and written again."""
        model = onnx_files.read(path)
        graph = cls()
        graph.adopt(model, path.parent)
        graph._inputs += model.graph.input
        graph._outputs += model.graph.output
        return graph

    def change_constants(self, operator: str, place: int, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Change the constants that operators called `operator` have as their input number `place`."""
        for name in dict.fromkeys(node.input[place] for node in self._nodes if node.op_type == operator):
            self._constants[name] = change(self._constants[name])

    def remove(self, prefix: str, name: str) -> None:
        """Remove the input `name`, and the operators and constants whose names start with `prefix`.

        In place of such an operator's result, the other operators get its first input.
        """
        replaced = {node.output[0]: node.input[0] for node in self._nodes if node.output[0].startswith(prefix)}
        self._nodes = [node for node in self._nodes if node.output[0] not in replaced]
        for node in self._nodes:
            for place, value in enumerate(node.input):
                node.input[place] = replaced.get(value, value)
        self._constants = {key: value for key, value in self._constants.items() if not key.startswith(prefix)}
        self._inputs = [given for given in self._inputs if given.name != name]

    def separate_constants(self, dtype: type[np.generic]) -> None:
        """Give each operator its own names of constants of `dtype`. `write` still writes a shared constant once."""
        users: Counter[str] = Counter()
        for node in self._nodes:
            for place, name in enumerate(node.input):
                if name in self._constants and self._constants[name].dtype == dtype:
                    users[name] += 1
                    if users[name] > 1:
                        node.input[place] = self.constant(f"{name}.{users[name]}", self._constants[name])

    def input(self, name: str, shape: list[int | str]) -> str:
        """Declare an int64 input; the same name twice is the same input."""
        if any(known.name == name for known in self._inputs):
            return name
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, shape))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant; the same name twice is the same constant."""
        self._constants.setdefault(name, value)
        return name

    def op(self, name: str, operator: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Add an operator whose (first) result is called `name`."""
        return self.ops([name], operator, *inputs, domain=domain, **attributes)[0]

    def ops(self, names: list[str], operator: str, *inputs: str, domain: str = "", **attributes: Attribute) -> list[str]:
        """Add an operator with several results."""
        self._nodes.append(helper.make_node(operator, inputs, names, name=names[0], domain=domain, **attributes))
        return names

    def cast(self, name: str, value: str) -> str:
        """Add the conversion of `value` to float32."""
        return self.op(name, "Cast", value, to=TensorProto.FLOAT)

    def has(self, name: str) -> bool:
        """Return whether an operator has the result `name`."""
        return any(name in node.output for node in self._nodes)

    def output(self, name: str, shape: list[int | str]) -> None:
        """Declare the float32 value `name` an output."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def write(self, path: Path, weights: str) -> None:
        """Write the graph to `path`, and its constants to the file `weights` next to it, which ONNX Runtime memory-maps.

        Each constant starts at a cache line. Constants smaller than INLINE_BYTES stay in the graph.
        """
        initializers = []
        places: dict[int, int] = {}
        with (path.parent / weights).open("wb") as file:
            for name, value in self._constants.items():
                if value.nbytes < INLINE_BYTES:
                    initializers.append(numpy_helper.from_array(value, name))
                    continue
                if id(value) not in places:
                    file.write(b"\0" * (-file.tell() % ALIGNMENT))
                    places[id(value)] = file.tell()
                    file.write(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
                initializers.append(_external(name, value, weights, places[id(value)]))
        graph = helper.make_graph(self._nodes, "encoder", self._inputs, self._outputs, initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets[:1]))
        path.write_bytes(model.SerializeToString(deterministic=True))


INLINE_BYTES = 8192
"""ONNX Runtime maps each constant of the file separately. Reading small ones, such as biases and scales, is faster than mapping."""
ALIGNMENT = 64  # the size of a cache line, and of the widest vector register


PORTABLE = {"Identity", "Cast", "Shape", "Concat", "Gather", "Slice", "Unsqueeze", "Squeeze"} | {
    *("Add", "Sub", "Mul", "Div", "Not", "Equal", "Max", "Min", "ReduceMax", "Relu"),
    "CumSum",  # of whole numbers
}
"""Standard operators with the same result on every CPU.

Sums of floats are not among them, because CPUs add in different orders, nor are functions such as Exp.
"""


def portable(model: onnx.ModelProto) -> bool:
    """Return whether a graph's results have the same bits on every kind of CPU."""
    return all(node.domain == ENCODER or (not node.domain and node.op_type in PORTABLE) for node in model.graph.node)


def _external(name: str, value: NDArray[np.generic], file: str, offset: int) -> TensorProto:
    """Describe a constant that is in a file. Its numbers are never in the message, which would keep them until the end."""
    tensor = TensorProto(name=name, dims=value.shape, data_type=helper.np_dtype_to_tensor_dtype(value.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    for key, entry in {"location": file, "offset": str(offset), "length": str(value.nbytes)}.items():
        tensor.external_data.add(key=key, value=entry)
    return tensor
