"""The tensors of a checkpoint, read from safetensors (never from a pickle) and checked against its configuration.

A checkpoint is one file, or several with an index that maps each tensor to its file.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors
from safetensors import SafetensorError

from layers.model.configuration import Configuration, Unsupported, inside
from layers.model.precision import Array

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
TYPES = (np.float32, np.float16, ml_dtypes.bfloat16)


def read(folder: Path, shapes: Mapping[str, tuple[int, ...]], prefix: str = "") -> dict[str, Array]:
    """The tensors named in `shapes`, as float32; in the checkpoint their names may begin with `prefix`.

    Raises:
        Unsupported: a file is missing or damaged, or a tensor is missing or has another shape or type.
    """
    tensors: dict[str, Array] = {}
    for file, names in _files(folder):
        for name, tensor in _tensors(folder, file, names):
            plain = name.removeprefix(prefix)
            if plain in shapes:
                tensors[plain] = _checked(file, plain, tensor, shapes[plain])
    for name in shapes:
        if name not in tensors:
            msg = f"{WEIGHTS} lacks the tensor {name}, which config.json asks for"
            raise Unsupported(msg)
    return {name: tensors[name] for name in shapes}


def _files(folder: Path) -> Iterator[tuple[str, Iterable[str] | None]]:
    """The checkpoint's files, each with the tensors to take from it (None: all it has)."""
    if (folder / WEIGHTS).exists() or (folder / WEIGHTS).is_symlink():
        yield WEIGHTS, None
    elif (folder / INDEX).exists():
        places = Configuration.read(folder, INDEX).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
            msg = f"{INDEX} in {folder} has no weight_map from tensors to files"
            raise Unsupported(msg)
        for file in sorted(set(places.values())):
            yield file, [name for name, place in places.items() if place == file]
    else:
        pickle = next((name for name in PICKLES if (folder / name).exists()), None)
        found = f"{pickle} is a pickle, which can run any code when it is read, and is not opened" if pickle else "there are none"
        msg = f"{WEIGHTS} is missing in {folder}: weights are read from safetensors alone; {found}"
        raise Unsupported(msg)


def _tensors(folder: Path, file: str, names: Iterable[str] | None) -> Iterator[tuple[str, np.ndarray]]:
    try:
        with safetensors.safe_open(inside(folder, file), framework="numpy") as content:
            for name in content.keys() if names is None else names:
                yield name, content.get_tensor(name)
    except FileNotFoundError:
        msg = f"{file} is missing in {folder}"
        raise Unsupported(msg) from None
    except (SafetensorError, OSError, TypeError, KeyError, ValueError, AttributeError) as error:
        msg = f"{file} in {folder} cannot be read: {error}"
        raise Unsupported(msg) from None


def _checked(file: str, name: str, tensor: np.ndarray, shape: tuple[int, ...]) -> Array:
    if tensor.shape != shape:
        msg = f"{file} has the tensor {name} in shape {tensor.shape}; config.json asks for {shape}"
        raise Unsupported(msg)
    if tensor.dtype not in TYPES:
        msg = f"{file} has the tensor {name} as {tensor.dtype}; this builder reads float32, float16 and bfloat16"
        raise Unsupported(msg)
    return tensor.astype(np.float32)
