"""Write files in the format of torch.save, opcode by opcode, because torch is not installed."""

import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def archive(
    path: Path, pickled: bytes, byte_order: bytes = b"little", compression: int = zipfile.ZIP_STORED
) -> Iterator[Callable[[str, bytes], None]]:
    """Write a file in the format of torch 1.6 and later. It yields a function that adds a storage by its key."""
    with zipfile.ZipFile(path, "w", compression) as file:

        def add(key: str, numbers: bytes) -> None:
            file.writestr(f"archive/data/{key}", numbers)

        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", byte_order)
        yield add


def tensor(kind: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, length: int, key: str) -> bytes:
    """Return the opcodes of one tensor over a storage of torch's class `kind`."""
    storage = b"(" + _put("storage") + f"ctorch\n{kind}\n".encode() + _put(key) + _put("cpu") + _put(length) + b"tQ"
    arguments = b"".join(map(_put, (offset, shape, strides)))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + arguments + _put(value=False) + _put({}) + b"tR"


def dictionary(tensors: Mapping[str, bytes]) -> bytes:
    """Return the pickle of tensors by name."""
    return b"\x80\x02}" + b"".join(_put(name) + opcodes + b"s" for name, opcodes in tensors.items()) + b"."


def _put(value: object) -> bytes:
    """Return the opcodes of a plain value."""
    return pickle.dumps(value, 2)[2:-1]
