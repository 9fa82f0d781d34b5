"""Read weights that torch pickled, without running any code of the file.

A pickle is a program that names functions and calls them. Every name that is not in NAMES is refused. A name in NAMES stands for a
function of this module, which only records where a tensor's numbers are. Numbers are read later, and only for tensors that are
needed.

Since version 1.6, torch writes a zip archive: `…/data.pkl`, and a file in `…/data/` for each storage. Older versions wrote one
stream: three pickles about the format, a pickle of the tensors, a pickle of the storages' keys, then the length and the numbers of
each storage.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from layers.model.configuration import Unsupported

PICKLE_BYTES = 64_000_000
"""The largest allowed size of the pickle in an archive. The names and shapes of ten thousand tensors need 2 MB."""
MAGIC = 0x1950A86A20F9469CFC6C
"""The number at the start of an older file, pickled."""
PROTOCOL = 1001
"""The number after it: the version of the format."""

KINDS: Mapping[str, tuple[str, np.dtype[Any]]] = {
    "FloatStorage": ("F32", np.dtype(np.float32)),
    "HalfStorage": ("F16", np.dtype(np.float16)),
    "BFloat16Storage": ("BF16", np.dtype(ml_dtypes.bfloat16)),
    "DoubleStorage": ("F64", np.dtype(np.float64)),
    "LongStorage": ("I64", np.dtype(np.int64)),
    "IntStorage": ("I32", np.dtype(np.int32)),
    "ShortStorage": ("I16", np.dtype(np.int16)),
    "CharStorage": ("I8", np.dtype(np.int8)),
    "ByteStorage": ("U8", np.dtype(np.uint8)),
    "BoolStorage": ("BOOL", np.dtype(np.bool_)),
}
"""The types of torch's storages: the name in safetensors, and the type in numpy."""


class Storage(NamedTuple):
    """A sequence of numbers in the file, which has a key."""

    key: str
    kind: str
    length: int


class Tensor(NamedTuple):
    """The place of a tensor in its storage. Offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The type of its numbers, by its name in safetensors."""
        return KINDS[self.storage.kind][0]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of an open file, by name."""

    tensors: Mapping[str, Tensor]
    read: Callable[[Storage], bytes]

    def numbers(self, name: str) -> np.ndarray:
        """Return a tensor's numbers.

        Raises:
            ValueError: the file does not have them.
        """
        tensor = self.tensors[name]
        dtype = KINDS[tensor.storage.kind][1]
        content = self.read(tensor.storage)
        last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
        if len(content) != tensor.storage.length * dtype.itemsize or (0 not in tensor.shape and last >= tensor.storage.length):
            msg = f"the tensor {name} lies outside its storage"
            raise ValueError(msg)
        flat = np.frombuffer(content, dtype)[tensor.offset :]
        return np.lib.stride_tricks.as_strided(
            flat, tensor.shape, [stride * dtype.itemsize for stride in tensor.strides], writeable=False
        )


@contextmanager
def opened(path: Path) -> Iterator[Checkpoint]:
    """Open a file that torch.save wrote. A damaged one raises whatever it happens to break.

    Raises:
        Unsupported: it names something that builds no tensor.
    """
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield _archive(archive, path.name)
        else:
            file.seek(0)
            yield _stream(file, path)


def _archive(archive: zipfile.ZipFile, name: str) -> Checkpoint:
    (listing,) = (member for member in archive.namelist() if member.endswith("/data.pkl"))
    place = listing.removesuffix("data.pkl")
    if f"{place}byteorder" in archive.namelist() and _member(archive, f"{place}byteorder", 16) != b"little":
        msg = "its numbers are stored with the most significant byte first"
        raise ValueError(msg)
    tensors = _tensors(_load(io.BytesIO(_member(archive, listing, PICKLE_BYTES)), name))

    def read(storage: Storage) -> bytes:
        return _member(archive, f"{place}data/{storage.key}", storage.length * KINDS[storage.kind][1].itemsize)

    return Checkpoint(tensors, read)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most:
        msg = f"{name} in it is compressed, or has more than {most:,} bytes"
        raise ValueError(msg)
    return archive.read(entry)


def _stream(file: BinaryIO, path: Path) -> Checkpoint:
    if _load(file, path.name) != MAGIC or _load(file, path.name) != PROTOCOL:
        msg = "torch did not write it"
        raise ValueError(msg)
    machine = _load(file, path.name)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        msg = "its numbers are stored with the most significant byte first"
        raise ValueError(msg)
    tensors = _tensors(_load(file, path.name))
    keys = _load(file, path.name)
    counts = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in counts for key in keys):
        msg = "its storages are not those of its tensors"
        raise ValueError(msg)
    places = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        if count != counts[key].length:
            msg = f"the storage {key} has {count} numbers instead of {counts[key].length}"
            raise ValueError(msg)
        places[key] = file.tell()
        file.seek(count * KINDS[counts[key].kind][1].itemsize, io.SEEK_CUR)

    def read(storage: Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(storage.length * KINDS[storage.kind][1].itemsize)

    return Checkpoint(tensors, read)


# --- The pickle -------------------------------------------------------------------------------------------


def _load(file: BinaryIO | io.BytesIO, name: str) -> object:
    try:
        return _Unpickler(file, name).load()
    except MemoryError:  # a few bytes of a pickle can request a table of 64 GB
        msg = "it asks for more memory than the names of tensors take"
        raise ValueError(msg) from None


def _tensors(content: object) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        msg = "it does not hold tensors by their names"
        raise TypeError(msg)
    return {name: tensor for name, tensor in content.items() if isinstance(name, str) and isinstance(tensor, Tensor)}


class _Unpickler(pickle.Unpickler):
    """Accepts only the names in NAMES. A pickle cannot change the functions that these stand for."""

    def __init__(self, file: BinaryIO | io.BytesIO, name: str) -> None:
        super().__init__(file)
        self._name = name

    def find_class(self, module: str, name: str, /) -> object:
        known = NAMES.get(f"{module}.{name}")
        if known is None:
            msg = (
                f"{self._name} is a pickle that asks for {module[:60]}.{name[:60]}, which builds no tensor: nothing of it was run. "
                "Convert it to safetensors where you trust it"
            )
            raise Unsupported(msg)
        return known

    def persistent_load(self, pid: object, /) -> Storage:
        match pid:
            case ("storage", _Called(name=kind), str(key), str(), int(count), *_) if kind in KINDS and count >= 0:
                return Storage(key, kind, count)
        msg = "it refers to something that is no storage"
        raise ValueError(msg)


class _Called:
    """A name that a pickle may use, and the function that is called for it. It has no state that a pickle can set."""

    __slots__ = ("make", "name")

    name: str
    make: Callable[..., object] | None

    def __init__(self, name: str, make: Callable[..., object] | None = None) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "make", make)

    def __setattr__(self, name: str, value: object) -> None:
        msg = f"it sets {name} of {self.name}"
        raise AttributeError(msg)

    def __call__(self, *arguments: object) -> object:
        if self.make is None:
            msg = f"it calls {self.name}"
            raise ValueError(msg)
        return self.make(*arguments)


class _Named(dict[object, object]):
    """Tensors by name. A pickled OrderedDict may have attributes, which this class ignores."""


def _tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> Tensor:
    if not (isinstance(storage, Storage) and isinstance(offset, int) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        msg = "a tensor in it is made of something else than numbers"
        raise TypeError(msg)
    whole = [number for number in (offset, *shape, *strides) if isinstance(number, int) and 0 <= number < 1 << 62]
    if len(whole) != 1 + len(shape) + len(strides) or len(shape) != len(strides):
        msg = "a tensor in it has a shape that is none"
        raise ValueError(msg)
    return Tensor(storage, offset, shape, strides)


def _parameter(tensor: object, *_: object) -> object:
    return tensor


def _named(*pairs: Any) -> _Named:  # noqa: ANN401 - what dict takes
    return _Named(*pairs)


NAMES: Mapping[str, _Called] = {
    "collections.OrderedDict": _Called("OrderedDict", _named),
    "torch._utils._rebuild_tensor_v2": _Called("_rebuild_tensor_v2", _tensor),
    "torch._utils._rebuild_tensor": _Called("_rebuild_tensor", _tensor),
    "torch._utils._rebuild_parameter": _Called("_rebuild_parameter", _parameter),
    **{f"torch.{kind}": _Called(kind) for kind in KINDS},
}
"""All names that a pickle of tensors needs."""
