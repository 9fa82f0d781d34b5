"""A small writer of ONNX graphs: operators in, the names of their results out."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from layers.model import onnx_files
from layers.runtime import operators

OPSET = 23  # the first with Attention
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
ENCODER = operators.DOMAIN
OWN_OPSET = 1  # of either

type Attribute = Any
"""int, float or list[int], as the operator has it; onnx declares its keyword arguments otherwise."""


class Graph:
    """An ONNX graph under construction. Every method returns the name of the value it added."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[np.generic]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._opsets = {"": OPSET, CONTRIB: OWN_OPSET, ENCODER: OWN_OPSET}

    def adopt(self, model: onnx.ModelProto, folder: Path) -> None:
        """Take over another graph's operators, constants and operator sets, but not its inputs and outputs.

        Constants that it keeps in files in `folder` are read when they are written: the files must be there until then.
        """
        self._nodes += model.graph.node
        self._constants |= {tensor.name: onnx_files.array(tensor, folder) for tensor in model.graph.initializer}
        self._opsets |= {opset.domain: opset.version for opset in model.opset_import}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a graph and its constants that `write` wrote to `path`: to be changed and written again."""
        model = onnx_files.read(path)
        graph = cls()
        graph.adopt(model, path.parent)
        graph._inputs += model.graph.input
        graph._outputs += model.graph.output
        return graph

    def change_constants(self, operator: str, place: int, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Change the constant that each `operator` takes as its input at `place`."""
        for name in dict.fromkeys(node.input[place] for node in self._nodes if node.op_type == operator):
            self._constants[name] = change(self._constants[name])

    def separate_constants(self, dtype: type[np.generic]) -> None:
        """Give each operator constants of `dtype` under names of its own; `write` still writes what they share once."""
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
        """Whether an operator gives the value `name`."""
        return any(name in node.output for node in self._nodes)

    def output(self, name: str, shape: list[int | str]) -> None:
        """Declare the float32 value `name` an output."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def write(self, path: Path, weights: str) -> None:
        """Write the graph to `path` and its constants to the file `weights` beside it, which ONNX Runtime memory-maps.

        Each starts where a cache line does; constants below INLINE_BYTES stay in the graph.
        """
        initializers = []
        places: dict[int, int] = {}
        with (path.parent / weights).open("wb") as file:
            for name, value in self._constants.items():
                tensor = numpy_helper.from_array(value, name)
                if value.nbytes >= INLINE_BYTES:
                    if id(value) not in places:
                        file.write(b"\0" * (-file.tell() % ALIGNMENT))
                        places[id(value)] = file.tell()
                        file.write(value.tobytes())
                    _externalise(tensor, {"location": weights, "offset": str(places[id(value)]), "length": str(value.nbytes)})
                initializers.append(tensor)
        graph = helper.make_graph(self._nodes, "encoder", self._inputs, self._outputs, initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets[:1]))
        path.write_bytes(model.SerializeToString(deterministic=True))


INLINE_BYTES = 8192
"""ONNX Runtime maps each constant of the file by itself: biases, scales and norms are sooner read than mapped."""
ALIGNMENT = 64  # of a cache line and of the widest vector register


PORTABLE = {"Identity", "Cast", "Shape", "Concat", "Gather", "Slice", "Unsqueeze", "Squeeze"} | {
    *("Add", "Sub", "Mul", "Not", "Equal", "Max", "ReduceMax", "Relu"),
    "CumSum",  # of whole numbers
}
"""Standard operators that can have one result only: no sums of floats, whose order is each CPU's own, and no functions."""


def portable(model: onnx.ModelProto) -> bool:
    """Whether a graph's results are the same bits on every kind of CPU, as those of the encoder's own operators are."""
    return all(node.domain == ENCODER or (not node.domain and node.op_type in PORTABLE) for node in model.graph.node)


def _externalise(tensor: onnx.TensorProto, entries: Mapping[str, str]) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
