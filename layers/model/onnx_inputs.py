"""Compute the inputs of a model's own ONNX file, inside the graph, from the token ids of one text without padding."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from layers.model.configuration import Unsupported
from layers.model.graph import Graph


@dataclass(frozen=True, slots=True)
class Given:
    """The values from which inputs are computed: the token ids `ids` (1, tokens) in `graph`, and the chosen task.

    `tasks` are the names of all tasks that the model has.
    """

    graph: Graph
    ids: str
    task: str | None
    tasks: tuple[str, ...]


type Make = Callable[[Given, onnx.ValueInfoProto], str]


def make(given: Given, file: str, value: onnx.ValueInfoProto) -> str:
    """Write the value of the input `value` of `file`; return its name.

    Raises:
        Unsupported: the input is unknown, or it needs a TASK.
    """
    for name, maker in INPUTS.items():
        if value.name == name or (name.endswith(".") and value.name.startswith(name)):
            return maker(given, value)
    msg = f"{file} takes the input {value.name}; this builder knows {', '.join(INPUTS)}"
    raise Unsupported(msg)


def _ids(given: Given, _value: onnx.ValueInfoProto) -> str:
    return given.ids


def _ones(given: Given, value: onnx.ValueInfoProto) -> str:
    """Write ones: every token belongs to the text, none is padding."""
    return given.graph.op(f"{value.name}.ones", "Add", _zeros(given, value), _number(given, "one", 1))


def _zeros(given: Given, value: onnx.ValueInfoProto) -> str:
    """Write zeros: every token belongs to the first segment."""
    # The constant's name is in built models: another would change their fingerprints, and no cached vector would be found.
    return given.graph.op(f"{value.name}.zeros", "Mul", given.ids, _number(given, "nought", 0))


def _places(given: Given, value: onnx.ValueInfoProto) -> str:
    """Write 0, 1, 2, …: the position of each token."""
    one = _number(given, "one", 1)
    counted = given.graph.op(f"{value.name}.counted", "CumSum", _ones(given, value), one)
    return given.graph.op(f"{value.name}.places", "Sub", counted, one)


def _nothing_before(given: Given, value: onnx.ValueInfoProto) -> str:
    """Write empty keys and values for one text: there are no tokens before it. All other axes without a fixed size have size 0."""
    return _constant(given, value, [1, *_sizes(value)[1:]])


def _none(given: Given, value: onnx.ValueInfoProto) -> str:
    """Write an empty value: there are no images and no sounds. The first axis has size 0."""
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
"""The one table of inputs: the function that writes each. A name that ends in a dot stands for all names that begin with it."""


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Return the fixed sizes of an input's axes, and 0 for axes without a fixed size."""
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _constant(given: Given, value: onnx.ValueInfoProto, sizes: list[int]) -> str:
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return given.graph.constant(f"{value.name}.empty", np.zeros(sizes, dtype))


def _number(given: Given, name: str, number: int) -> str:
    return given.graph.constant(name, np.array(number, np.int64))
