"""The builder reads weights in torch's pickles, and runs no code in them. test_references.py compares their vectors."""

import base64
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.embedding.manifest import Manifest
from layers.model import pickles, weights
from layers.model.configuration import Unsupported
from tests.layers.model import hub, references, tiny_bert, torch_files
from tests.layers.model.commands import built, make

NAME = "pytorch_model.bin"


def content(case: str, file: str) -> bytes:
    """Return a file that torch wrote."""
    return zlib.decompress(base64.b64decode(references.load(case)["files"][file]))


TODAY = content("pickle", NAME)
OLDER = content("pickle-shards", f"2_Dense/{NAME}")
SHAPES = {"linear.weight": (16, 32), "linear.bias": (16,)}


class Call:
    """An object that pickles as a call of `function`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def archive(pickled: bytes, folder: Path, numbers: bytes = bytes(2112), **options: Any) -> Path:  # noqa: ANN401
    """Write a file in torch's current format, with this pickle and one storage. `options` are those of torch_files.archive."""
    folder.mkdir(exist_ok=True)
    with torch_files.archive(folder / NAME, pickled, **options) as add:
        add("0", numbers)
    return folder


def tensor(
    kind: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, length: int = 528, key: str = "0"
) -> bytes:
    """Return a pickle of one tensor called linear.weight."""
    return torch_files.dictionary({"linear.weight": torch_files.tensor(kind, shape, strides, offset, length, key)})


GOOD = tensor("FloatStorage", (16, 32), (32, 1))
WANTED = {"linear.weight": (16, 32)}


@pytest.mark.parametrize("written", [TODAY, OLDER], ids=["today", "older"])
def test_no_part_of_a_file_gives_anything_but_tensors_or_a_sentence(written: bytes, tmp_path: Path) -> None:
    """Any byte may be changed."""

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, len(written) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 50))
    def check(changes: list[tuple[int, int]], cut: int) -> None:
        changed = bytearray(written[: len(written) - cut])
        for place, value in changes:
            if place < len(changed):
                changed[place] = value
        (tmp_path / NAME).write_bytes(changed)
        try:
            weights.read(tmp_path, SHAPES)
        except Unsupported as refusal:
            assert 0 < len(str(refusal)) < 1000  # noqa: PT017 - either outcome is right

    check()


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    """Each hostile file below differs from a good file only in what its name says."""
    numbers = np.arange(528, dtype=np.float32)
    archive(GOOD, tmp_path, numbers.tobytes())
    np.testing.assert_array_equal(weights.read(tmp_path, WANTED)["linear.weight"], numbers[:512].reshape(16, 32))
    archive(tensor("FloatStorage", (16, 32), (1, 16), offset=16), tmp_path, numbers.tobytes())
    np.testing.assert_array_equal(weights.read(tmp_path, WANTED)["linear.weight"], numbers[16:].reshape(32, 16).T)


def _global(module: str, name: str) -> bytes:
    return b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93"


TRAPS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a command": (
        lambda folder: pickle.dumps(Call(os.mkdir, str(folder / "sprung"))),
        "asks for posix.mkdir, which builds no tensor",
    ),
    "eval": (
        lambda folder: pickle.dumps(Call(eval, f"__import__('os').mkdir({str(folder / 'sprung')!r})")),
        "asks for builtins.eval",
    ),
    "getattr": (lambda _: pickle.dumps(Call(getattr, "a", "upper")), "asks for builtins.getattr"),
    "a path into a name": (lambda _: _global("torch._utils", "_rebuild_tensor_v2.__call__") + b".", "_rebuild_tensor_v2.__call__"),
    "this module": (lambda _: _global("layers.model.pickles", "Path") + b".", "asks for layers.model.pickles.Path"),
    "numpy": (lambda _: pickle.dumps(np.arange(3)), "asks for numpy"),
    "a registered extension": (lambda _: b"\x80\x02\x82\x01.", "cannot be read: unregistered extension code 1"),
    "an instance": (lambda folder: f"(S'{folder}/sprung'\niposix\nmkdir\n.".encode(), "asks for posix.mkdir"),
    "a changed name": (
        lambda _: _global("torch", "FloatStorage") + b"N}\x8c\x04name\x8c\x01xs\x86b" + GOOD[2:],
        "cannot be read: it sets",
    ),
    "a changed dictionary": (
        lambda _: _global("torch", "FloatStorage") + b"}\x8c\x04name\x8c\x01xsb" + GOOD[2:],
        "cannot be read: ",
    ),
    "a call of a type": (lambda _: _global("torch", "FloatStorage") + b")R.", "cannot be read: it calls FloatStorage"),
    "no tensors": (lambda _: pickle.dumps([1]), "cannot be read: it does not hold tensors by their names"),
    "a deep pickle": (lambda _: b"(" * 100_000 + b".", "cannot be read: "),
    "beyond its storage": (
        lambda _: tensor("FloatStorage", (16, 32), (32, 2)),
        "the tensor linear.weight lies outside its storage",
    ),
    "an offset too far": (
        lambda _: tensor("FloatStorage", (16, 32), (32, 1), 17),
        "the tensor linear.weight lies outside its storage",
    ),
    "before its storage": (lambda _: tensor("FloatStorage", (16, 32), (32, -1), 31), "has a shape that is none"),
    "a storage too large": (lambda _: tensor("FloatStorage", (16, 32), (32, 1), length=1 << 40), "lies outside its storage"),
    "another file's storage": (lambda _: tensor("FloatStorage", (16, 32), (32, 1), key="../../x"), "cannot be read: "),
    "another shape": (lambda _: tensor("FloatStorage", (32, 16), (16, 1)), "in shape (32, 16); config.json asks for (16, 32)"),
    "integers": (lambda _: tensor("LongStorage", (16, 32), (32, 1)), "as I64; this builder reads F32, F16, BF16, F64"),
    "no storage": (lambda _: b"\x80\x02X\x01\x00\x00\x00aQ.", "cannot be read: it refers to something that is no storage"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_pickle_that_does_more_than_build_tensors_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """No code of it runs."""
    make_pickle, expected = TRAPS[name]
    folder = archive(make_pickle(tmp_path), tmp_path / "model")
    with pytest.raises(Unsupported) as caught:
        weights.read(folder, WANTED)
    assert expected in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert pickles.NAMES["torch.FloatStorage"].name == "FloatStorage"


def _sparse(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 1 << 40)


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "compressed": (lambda folder: archive(GOOD, folder, compression=zipfile.ZIP_DEFLATED), "in it is compressed"),
    "other machines": (lambda folder: archive(GOOD, folder, byte_order=b"big"), "the most significant byte first"),
    "a shorter storage": (lambda folder: archive(GOOD, folder, bytes(100)), "the tensor linear.weight lies outside"),
    "not a number": (
        lambda folder: archive(GOOD, folder, np.full(528, np.nan, np.float32).tobytes()),
        "linear.weight with numbers that are not finite",
    ),
    "too wide": (
        lambda folder: archive(tensor("DoubleStorage", (16, 32), (32, 1)), folder, np.full(528, 1e300).tobytes()),
        "linear.weight with numbers that are not finite",
    ),
    "a bare pickle": (lambda folder: (folder / NAME).write_bytes(pickle.dumps({"a": 1})), "torch did not write it"),
    "an older trap": (
        lambda folder: (folder / NAME).write_bytes(
            pickle.dumps(pickles.MAGIC) + pickle.dumps(Call(os.mkdir, str(folder / "sprung")))
        ),
        "asks for posix.mkdir",
    ),
    "a text without an end": (
        lambda folder: (folder / NAME).write_bytes(b"\x80\x04\x8d" + (1 << 60).to_bytes(8, "little")),
        "cannot be read: it asks for more memory than the names of tensors take",
    ),
    "nothing": (lambda folder: (folder / NAME).write_bytes(b""), "cannot be read: "),
    "an endless one": (lambda folder: _sparse(folder / NAME), "cannot be read: "),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_torch_did_not_write_so_is_refused(name: str, tmp_path: Path) -> None:
    """Both formats of torch are refused."""
    spoil, expected = OTHERS[name]
    spoil(tmp_path)
    with pytest.raises(Unsupported) as caught:
        weights.read(tmp_path, WANTED)
    assert expected in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_pickle_is_never_opened_where_there_are_safetensors(tmp_path: Path) -> None:
    """It is not one of the sources in the manifest."""
    model = tiny_bert.write(tmp_path / "tiny")
    (model / NAME).write_bytes(pickle.dumps(Call(os.mkdir, str(tmp_path / "sprung"))))
    assert NAME not in make(model, tmp_path / "model").sources
    assert not (tmp_path / "sprung").exists()


def test_wide_weights_are_read_as_float32(tmp_path: Path) -> None:
    """The conversion is the same as in torch."""
    model = tiny_bert.write(tmp_path / "tiny")
    expected = make(model, tmp_path / "one").files["model.onnx.data"]
    safetensors.numpy.save_file(
        {name: values.astype(np.float64) for name, values in tiny_bert.weights().items()}, model / "model.safetensors"
    )
    assert make(model, tmp_path / "two").files["model.onnx.data"] == expected


@pytest.mark.parametrize("case", ["pickle", "pickle-shards"])
def test_pickles_are_fetched_where_a_hub_has_nothing_else(case: str, tmp_path: Path) -> None:
    """That holds for the encoder and for Dense modules. The manifest has them as sources."""
    model = references.write(case, tmp_path / "hub/pickled")
    with hub.serving("org/pickled", model) as served:
        out = built("org/pickled", tmp_path / "model", "--precision", "fp32", HF_ENDPOINT=served.url)
    pickled = {name for name in served.files if name.endswith(".bin")}
    assert pickled
    assert pickled <= {name for name, _ in served.served}
    assert pickled <= Manifest.read(out).sources.keys()
