"""The tensors of a checkpoint, read from safetensors (never from a pickle) and checked against its configuration."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from layers.model.precision import Array
from layers.model.specification import Unsupported

WEIGHTS = "model.safetensors"
PREFIX = "bert."
"""Checkpoints saved from a model with a head carry their encoder under this name."""


def read(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The tensors named in `shapes`, as float32.

    Raises:
        Unsupported: the file is missing or damaged, or a tensor is missing or has another shape or type.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        msg = f"{WEIGHTS} is missing in {folder}; weights in any other format are not read"
        raise Unsupported(msg)
    try:
        found = {name.removeprefix(PREFIX): tensor for name, tensor in safetensors.numpy.load_file(path).items()}
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        msg = f"{WEIGHTS} in {folder} cannot be read: {error}"
        raise Unsupported(msg) from None
    return {name: _checked(name, found.get(name), shape) for name, shape in shapes.items()}


def _checked(name: str, tensor: np.ndarray | None, shape: tuple[int, ...]) -> Array:
    if tensor is None:
        msg = f"{WEIGHTS} lacks the tensor {name}, which config.json asks for"
        raise Unsupported(msg)
    if tensor.shape != shape:
        msg = f"{WEIGHTS} has the tensor {name} in shape {tensor.shape}; config.json asks for {shape}"
        raise Unsupported(msg)
    if tensor.dtype not in (np.float32, np.float16):
        msg = f"{WEIGHTS} has the tensor {name} as {tensor.dtype}; this builder reads float32 and float16"
        raise Unsupported(msg)
    return tensor.astype(np.float32)
