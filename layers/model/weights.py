"""Read the tensors of a checkpoint, from safetensors or from torch's pickles (pickles.py), and check their shapes.

A checkpoint is one file, or several files with an index that says which file has which tensor.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors

from layers.model import pickles
from layers.model.configuration import Configuration, Unsupported, exists, regular, shown
from layers.model.precision import Array

FILES = ("model.safetensors", "pytorch_model.bin")
"""The names of a checkpoint's file. The first one that exists is read, or its index."""
TYPES = ("F32", "F16", "BF16", "F64")
"""The types of numbers that can be converted to float32."""
OLDER_NAMES = {".gamma": ".weight", ".beta": ".bias"}
"""The names that the oldest checkpoints have for the two tensors of a norm."""

type Shape = tuple[int, ...]


def read(folder: Path, shapes: Mapping[str, Shape], prefix: str = "", others: re.Pattern[str] | None = None) -> dict[str, Array]:
    """Return the tensors named in `shapes`, as float32; in the checkpoint their names may begin with `prefix`.

    `others` matches the names of all other tensors that the checkpoint may have; None allows any.

    Raises:
        Unsupported: a file is missing or damaged, or a tensor is missing, has another shape or type, holds a number that is not
            finite, or is not allowed.
    """
    tensors: dict[str, Array] = {}
    for file, names in _files(folder):
        tensors |= _tensors(folder, file, names, _Wanted(shapes, prefix, others))
    for name in shapes:
        if name not in tensors:
            msg = f"the checkpoint in {folder} lacks the tensor {name}, which config.json asks for"
            raise Unsupported(msg)
    return {name: tensors[name] for name in shapes}


def about(folder: Path) -> dict[str, tuple[Shape, str]]:
    """Return the shape and the type of each tensor of a checkpoint, by its name. No number is read.

    Raises:
        Unsupported: a file is missing or damaged.
    """
    found: dict[str, tuple[Shape, str]] = {}
    for file, names in _files(folder):
        with _reading(folder, file) as content:
            found |= {name: content.about(name) for name in (content.names() if names is None else names)}
    return found


def stored(folder: Path, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Return those of the wanted tensors that a checkpoint has, in their own types.

    Raises:
        Unsupported: a file is missing or damaged.
    """
    found: dict[str, np.ndarray] = {}
    for file, names in _files(folder):
        with _reading(folder, file) as content:
            present = set(content.names() if names is None else names)
            found |= {name: content.numbers(name) for name in wanted if name in present}
    return found


def narrowed(tensor: np.ndarray, name: str) -> Array:
    """Return a tensor as float32.

    Raises:
        Unsupported: a number is not finite.
    """
    return _finite("the checkpoint", name, _narrowed(tensor))


def check_files(folder: Path) -> None:
    """Check that the checkpoint's files exist. Only an index is read.

    Raises:
        Unsupported: a file is missing.
    """
    for file, _ in _files(folder):
        regular(folder, file)


def _files(folder: Path) -> Iterator[tuple[str, Iterable[str] | None]]:
    """Yield the checkpoint's files, each with the tensors to read from it (None for all)."""
    for file in FILES:
        index = f"{file}.index.json"
        if exists(folder, file):
            yield file, None
            return
        if exists(folder, index):
            places = Configuration.read(folder, index).get("weight_map")
            if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
                msg = f"{index} in {folder} has no weight_map from tensors to files"
                raise Unsupported(msg)
            for place in sorted(set(places.values())):
                yield place, [name for name, chosen in places.items() if chosen == place]
            return
    msg = f"{FILES[0]} is missing in {folder}, and so is {FILES[1]}: weights in any other format are not read"
    raise Unsupported(msg)


class _Tensors(Protocol):
    """An open checkpoint file, in any format."""

    def names(self) -> Iterable[str]:
        """Return the names of its tensors."""
        ...

    def about(self, name: str) -> tuple[Shape, str]:
        """Return a tensor's shape and the type of its numbers."""
        ...

    def numbers(self, name: str) -> np.ndarray:
        """Return a tensor."""
        ...


@dataclass(frozen=True, slots=True)
class _Safetensors:
    content: Any

    def names(self) -> Iterable[str]:
        names: list[str] = self.content.keys()
        return names

    def about(self, name: str) -> tuple[Shape, str]:
        entry = self.content.get_slice(name)
        return tuple(entry.get_shape()), entry.get_dtype()

    def numbers(self, name: str) -> np.ndarray:
        tensor: np.ndarray = self.content.get_tensor(name)
        return tensor


@dataclass(frozen=True, slots=True)
class _Pickled:
    content: pickles.Checkpoint

    def names(self) -> Iterable[str]:
        return self.content.tensors

    def about(self, name: str) -> tuple[Shape, str]:
        tensor = self.content.tensors[name]
        return tensor.shape, tensor.kind

    def numbers(self, name: str) -> np.ndarray:
        return self.content.numbers(name)


@contextmanager
def _opened(path: Path) -> Iterator[_Tensors]:
    if path.suffix == ".bin":
        with pickles.opened(path) as content:
            yield _Pickled(content)
    else:
        with safetensors.safe_open(path, framework="numpy") as content:
            yield _Safetensors(content)


@contextmanager
def _reading(folder: Path, file: str) -> Iterator[_Tensors]:
    """Open a file of a checkpoint.

    Raises:
        Unsupported: it is missing or damaged, or becomes so while it is read.
    """
    path = regular(folder, file)
    try:
        with _opened(path) as content:
            yield content
    except (Unsupported, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
        msg = f"{file} in {folder} cannot be read: {(str(error) or type(error).__name__)[:200]}"
        raise Unsupported(msg) from None


@dataclass(frozen=True, slots=True)
class _Wanted:
    shapes: Mapping[str, Shape]
    prefix: str
    others: re.Pattern[str] | None

    def check(self, file: str, name: str) -> None:
        """Check that a tensor which is not read changes no vector."""
        if self.others and not self.others.match(name):
            msg = f"{file} has the tensor {name}, and nobody here knows what that does to a vector"
            raise Unsupported(msg)


def _tensors(folder: Path, file: str, names: Iterable[str] | None, wanted: _Wanted) -> dict[str, Array]:
    """Return the needed tensors of one file. A tensor is loaded only after its shape and type have been checked."""
    tensors = {}
    with _reading(folder, file) as content:
        for name in content.names() if names is None else names:
            plain = _plain(name, wanted.prefix)
            if plain not in wanted.shapes:
                wanted.check(file, plain)
                continue
            _check(file, plain, *content.about(name), wanted.shapes[plain])
            tensors[plain] = _finite(file, plain, _narrowed(content.numbers(name)))
    return tensors


def _plain(name: str, prefix: str) -> str:
    plain = name.removeprefix(prefix)
    for older, newer in OLDER_NAMES.items():
        if plain.endswith(f"LayerNorm{older}"):
            return plain.removesuffix(older) + newer
    return plain


def _narrowed(tensor: np.ndarray) -> Array:
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, and is refused as such
        return tensor.astype(np.float32)


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
