"""The tensors of a checkpoint, read from safetensors (never from a pickle) and checked against its configuration.

A checkpoint is one file, or several with an index that maps each tensor to its file.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import safetensors
from safetensors import SafetensorError

from layers.model.configuration import Configuration, Unsupported, exists, regular, shown
from layers.model.precision import Array

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
TYPES = ("F32", "F16", "BF16")
"""Of numbers that float32 holds exactly."""

type Shape = tuple[int, ...]


def read(folder: Path, shapes: Mapping[str, Shape], prefix: str = "") -> dict[str, Array]:
    """Return the tensors named in `shapes`, as float32; in the checkpoint their names may begin with `prefix`.

    Raises:
        Unsupported: a file is missing or damaged, or a tensor is missing, has another shape or type, or holds a number that is
            not finite.
    """
    tensors: dict[str, Array] = {}
    for file, names in _files(folder):
        tensors |= _tensors(folder, file, names, shapes, prefix)
    for name in shapes:
        if name not in tensors:
            msg = f"{WEIGHTS} lacks the tensor {name}, which config.json asks for"
            raise Unsupported(msg)
    return {name: tensors[name] for name in shapes}


def _files(folder: Path) -> Iterator[tuple[str, Iterable[str] | None]]:
    """The checkpoint's files, each with the tensors to take from it (None: all it has)."""
    if exists(folder, WEIGHTS):
        yield WEIGHTS, None
    elif exists(folder, INDEX):
        places = Configuration.read(folder, INDEX).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
            msg = f"{INDEX} in {folder} has no weight_map from tensors to files"
            raise Unsupported(msg)
        for file in sorted(set(places.values())):
            yield file, [name for name, place in places.items() if place == file]
    else:
        pickle = next((name for name in PICKLES if exists(folder, name)), None)
        found = f"{pickle} is a pickle, which can run any code when it is read, and is not opened" if pickle else "there are none"
        msg = f"{WEIGHTS} is missing in {folder}: weights are read from safetensors alone; {found}"
        raise Unsupported(msg)


def _tensors(folder: Path, file: str, names: Iterable[str] | None, shapes: Mapping[str, Shape], prefix: str) -> dict[str, Array]:
    """Return those tensors of one file that are wanted. Others are never loaded, and none before its shape and type are checked."""
    tensors = {}
    path = regular(folder, file)
    try:
        with safetensors.safe_open(path, framework="numpy") as content:
            for name in content.keys() if names is None else names:
                plain = name.removeprefix(prefix)
                if plain in shapes:
                    entry = content.get_slice(name)
                    _check(file, plain, tuple(entry.get_shape()), entry.get_dtype(), shapes[plain])
                    tensors[plain] = _finite(file, plain, content.get_tensor(name).astype(np.float32))
    except (SafetensorError, OSError, TypeError, KeyError, ValueError, AttributeError) as error:
        msg = f"{file} in {folder} cannot be read: {error}"
        raise Unsupported(msg) from None
    return tensors


def _check(file: str, name: str, found: Shape, kind: str, expected: Shape) -> None:
    if found != expected:
        msg = f"{file} has the tensor {name} in shape {shown(found)}; config.json asks for {expected}"
        raise Unsupported(msg)
    if kind not in TYPES:
        msg = f"{file} has the tensor {name} as {kind}; this builder reads {', '.join(TYPES)}"
        raise Unsupported(msg)


def _finite(file: str, name: str, tensor: Array) -> Array:
    if not np.isfinite(tensor).all():
        msg = f"{file} has the tensor {name} with numbers that are not finite: no vector would be a number"
        raise Unsupported(msg)
    return tensor
