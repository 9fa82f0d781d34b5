"""The inputs of a model's own ONNX file, each made of the token ids of one text, which is not padded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from layers.model.configuration import Unsupported
from layers.model.graph import Graph


@dataclass(frozen=True, slots=True)
class Given:
    """What an input can be made of: `graph` with the token ids `ids` (1, tokens), and the number of the task that was chosen.

    `tasks` are the names of the tasks that the model has.
    """

    graph: Graph
    ids: str
    task: str | None
    tasks: tuple[str, ...]


type Make = Callable[[Given, onnx.ValueInfoProto], str]


def make(given: Given, file: str, value: onnx.ValueInfoProto) -> str:
    """Write the input `value` of `file`; return the name of what it is given.

    Raises:
        Unsupported: nobody knows the input, or it needs a choice that was not made.
    """
    for name, maker in INPUTS.items():
        if value.name == name or (name.endswith(".") and value.name.startswith(name)):
            return maker(given, value)
    msg = f"{file} takes the input {value.name}; this builder knows {', '.join(INPUTS)}"
    raise Unsupported(msg)


def _ids(given: Given, _value: onnx.ValueInfoProto) -> str:
    return given.ids


def _ones(given: Given, value: onnx.ValueInfoProto) -> str:
    """Every token is one of the text's."""
    return given.graph.op(f"{value.name}.ones", "Add", _zeros(given, value), _number(given, "one", 1))


def _zeros(given: Given, value: onnx.ValueInfoProto) -> str:
    """Every token is of the first segment."""
    return given.graph.op(f"{value.name}.zeros", "Mul", given.ids, _number(given, "nought", 0))


def _places(given: Given, value: onnx.ValueInfoProto) -> str:
    """0, 1, 2, …: each token's place."""
    one = _number(given, "one", 1)
    counted = given.graph.op(f"{value.name}.counted", "CumSum", _ones(given, value), one)
    return given.graph.op(f"{value.name}.places", "Sub", counted, one)


def _nothing_before(given: Given, value: onnx.ValueInfoProto) -> str:
    """No tokens came before: keys and values of no length. One text, and nothing along the other axis of no fixed size."""
    return _constant(given, value, [1, *_sizes(value)[1:]])


def _none(given: Given, value: onnx.ValueInfoProto) -> str:
    """There are no images and no sounds: nothing along the first axis, whatever its size."""
    return _constant(given, value, [0, *_sizes(value)[1:]])


def _task(given: Given, value: onnx.ValueInfoProto) -> str:
    if given.task not in given.tasks:
        known = f"set TASK to {', '.join(given.tasks)}" if given.tasks else "config.json names none in lora_adaptations"
        msg = f"the model's own ONNX file takes a task: {known}"
        raise Unsupported(msg)
    number = np.full([size or 1 for size in _sizes(value)], given.tasks.index(given.task), np.int64)
    return given.graph.constant(f"{value.name}.number", number)


INPUTS: Mapping[str, Make] = {
    "input_ids": _ids,
    "attention_mask": _ones,
    "input_mask": _ones,
    "token_type_ids": _zeros,
    "segment_ids": _zeros,
    "global_attention_mask": _zeros,
    "position_ids": _places,
    "past_key_values.": _nothing_before,
    "pixel_values": _none,
    "image_features": _none,
    "audio_features": _none,
    "input_features": _none,
    "task_id": _task,
}
"""How each input is made; a name that ends in a dot stands for all that begin with it."""


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Return the fixed sizes of an input's axes, 0 for those that are free."""
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _constant(given: Given, value: onnx.ValueInfoProto, sizes: list[int]) -> str:
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return given.graph.constant(f"{value.name}.empty", np.zeros(sizes, dtype))


def _number(given: Given, name: str, number: int) -> str:
    return given.graph.constant(name, np.array(number, np.int64))
